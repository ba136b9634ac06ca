/* See vocoder.h. The windows lie at fixed places, so that a window's arithmetic does not depend on how the frames came; each
 * is computed with all the frames around it that its results depend on. F frames, M mels, K bins. */
#include "systems/vocoder.h"

#include <string.h>

#include "base/progress.h"
#include "models/rician.h"
#include "signal/envelope.h"
#include "systems/rows.h"
#include "systems/sample.h"

enum { WINDOW = 192 /* frames, 2.2 s */ };

struct vocoder_stream {
    const vocoder *net;
    resynthesis *out;
    mel_envelope *envelope;
    int64_t M, K, halo;
    float *mel;           /* [room, M]: frames first .. known - 1 */
    int64_t first, known; /* frames */
    int64_t done;         /* given to the resynthesis */
};

vocoder_stream *vocoder_stream_new(const vocoder *net, resynthesis_settings settings, take_samples *take,
                                   void *context) {
    vocoder_stream *s = NEW(vocoder_stream);
    settings.front = vocoder_front();
    s->net = net;
    s->out = resynthesis_new(&settings, take, context);
    s->envelope = mel_envelope_new(&settings.front);
    s->M = settings.front.bands;
    s->K = settings.front.stft.n_fft / 2 + 1;
    s->halo = vocoder_halo(net);
    s->mel = NEW_ARRAY(float, (WINDOW + 2 * s->halo) * s->M);
    return s;
}

/* Frames done .. last - 1, seen with those around them. */
static void run_window(vocoder_stream *s, int64_t last) {
    const int64_t n = last - s->done, M = s->M, K = s->K, before = s->done - s->first;
    scope_begin();
    const tensor *mel = tensor_wrap(F32, SHAPE(1, s->known - s->first, M), s->mel);
    const float *o = f32(vocoder_forward(s->net, mel)) + before * 2 * K;
    float *steady = alloc((size_t) (n * K) * sizeof(float)), *noise = alloc((size_t) (n * K) * sizeof(float));
    float *envelope = alloc((size_t) K * sizeof(float));
    rician_read(o, n, K, steady, noise);
    for (int64_t i = 0; i < n; i++) {
        float *a = steady + i * K, *d = noise + i * K;
        const float *row = s->mel + (before + i) * M;
        mel_envelope_of(s->envelope, row, envelope);
        for (int64_t k = 0; k < K; k++) {
            a[k] *= envelope[k];
            d[k] *= envelope[k];
        }
        resynthesis_push(s->out, row, a, d);
    }
    scope_end();
    s->done = last;
}

/* Drops the frames that no later window sees. */
static void forget(vocoder_stream *s) {
    const int64_t needed = s->done > s->halo ? s->done - s->halo : 0;
    if (needed <= s->first) return;
    memmove(s->mel, s->mel + (needed - s->first) * s->M, (size_t) ((s->known - needed) * s->M) * sizeof(float));
    s->first = needed;
}

void vocoder_stream_push(vocoder_stream *s, const float *mel, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        memcpy(s->mel + (s->known++ - s->first) * s->M, mel + i * s->M, (size_t) s->M * sizeof(float));
        if (s->known < s->done + WINDOW + s->halo) continue;
        run_window(s, s->done + WINDOW);
        forget(s);
    }
}

void vocoder_stream_finish(vocoder_stream *s) {
    while (s->done < s->known) {
        run_window(s, s->known - s->done < WINDOW ? s->known : s->done + WINDOW);
        forget(s);
    }
    resynthesis_finish(s->out);
}

resynthesis_settings vocoder_settings_read(config c) {
    resynthesis_settings r = {.regains = (int) config_int(c, "regains", 2, 0, RESYNTHESIS_MOST_REGAINS)};
    r.noise_from = config_number(c, "noise_from", 0.85, 0, 0.999);
    r.noise_to = config_number(c, "noise_to", 1, 1e-3, 2);
    if (!(r.noise_from < r.noise_to))
        fail(HISS_ERROR_FORMAT, "%s: noise_from %g must lie below noise_to %g", c.where, r.noise_from, r.noise_to);
    return r;
}

/* --- the system --- */

static void open(model *m, const store *s, binder *b) {
    (void) s;
    const vocoder_config c = vocoder_config_read(m->settings);
    const mel_front front = vocoder_front();
    vocoder_settings_read(m->settings); /* fails early */
    m->network = vocoder_bind(&c, b);
    m->rate = front.rate;
    m->hop = front.stft.hop;
    m->mels = front.bands;
}

vocoder_stream *vocoder_stream_of(const model *m, uint64_t seed, take_samples *take, void *context) {
    resynthesis_settings settings = vocoder_settings_read(m->settings);
    settings.key = sound_key(seed);
    return vocoder_stream_new(m->network, settings, take, context);
}

typedef struct {
    float *to;
    int64_t done, total;
} sung;

static void take(void *context, const float *samples, int64_t n) {
    sung *s = context;
    memcpy(s->to + s->done, samples, (size_t) n * sizeof(float));
    s->done += n;
}

static void sing(const model *m, uint64_t seed, const tensor *mel, float *samples) {
    sung s = {samples, 0, mel->shape[0] * m->hop};
    vocoder_stream *v = vocoder_stream_of(m, seed, take, &s);
    const int64_t F = mel->shape[0], M = mel->shape[1];
    for (int64_t i = 0; i < F; i += WINDOW) {
        vocoder_stream_push(v, f32(mel) + i * M, F - i < WINDOW ? F - i : WINDOW);
        progress("singing", s.done, s.total);
    }
    vocoder_stream_finish(v);
    progress("singing", s.done, s.total);
    require(s.done == s.total);
}

const system_row SYSTEM_VOCODER = {
    .name = "vocoder",
    .paper = "hiss's own: Rician magnitudes, integrated phases",
    .front = "hiss",
    .landmark = "blocks.0.mix.weight",
    .open = open,
    .sing = sing,
};
