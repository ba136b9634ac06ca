/* See resynthesis.h. A frame passes these stages, each some frames after the one before:
 *     levels and noise shares -> onset gate (2 frames) -> phases and noise -> overlap-add (n_fft / hop - 1)
 *     -> [spectrum, mended levels, overlap-add (n_fft / hop - 1 each way)] for each re-gain. */
#include "signal/resynthesis.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/parallel.h"
#include "signal/envelope.h"
#include "signal/overlap.h"
#include "signal/phase.h"

enum { RING = 4 /* frames around the one in work */, MEL_RING = 64 /* more than all stages lag behind */ };
enum { STREAM_PHASES, STREAM_NOISE };

static const float LEAST_POWER = 1e-20f;

/* Where levels jump, energy is a hit and not noise: the mean change of ln magnitude a frame over ONSET_BINS bins closes the
 * gate round ONSET_AT. It keeps noise from smearing before a hit. */
enum { ONSET_REACH = 16 };
static const float ONSET_AT = 0.4f, ONSET_WIDTH = 0.06f;

static const float MOST_REGAIN = 1.5f; /* ln, a round */

void join_samples(void *context, const float *samples, int64_t n) {
    joined *j = context;
    const int64_t C = j->sound->channels;
    memcpy(j->sound->samples + j->done * C, samples, (size_t) (n * C) * sizeof(float));
    j->done += n;
}

typedef struct {
    framer *in;
    overlap *out;
    int64_t frames; /* done */
} regain;

struct resynthesis {
    resynthesis_settings settings;
    take_samples *take;
    void *context;
    int K, M;
    mel_bank *bank;
    mel_envelope *envelope;
    /* rings of rows, by frame */
    float *level[RING], *share[RING], *change[RING]; /* ln magnitude; noise's share in power; onset measure */
    float *mel[MEL_RING];
    int64_t known, changes, done; /* frames that came; that have their change; whose spectrum is made */
    phase_integrator *phases;
    stft_plan *noise_plan;
    float *white;      /* [n_fft] samples of noise */
    float noise_scale; /* to unit variance of re and im */
    overlap *out;      /* of the first spectra */
    regain regains[RESYNTHESIS_MOST_REGAINS];
    float *phase, *spectrum, *magnitude, *gain, *gate; /* scratch: [K], [K, 2], [K], [K], [K] */
    float *features;                                   /* [M] */
    int64_t skip, sent;                                /* samples of padding still to drop; of the sound, handed out */
};

resynthesis *resynthesis_new(const resynthesis_settings *s, take_samples *take, void *context) {
    require(s->regains >= 0 && s->regains <= RESYNTHESIS_MOST_REGAINS && s->noise_from < s->noise_to);
    resynthesis *r = NEW(resynthesis);
    *r = (resynthesis){.settings = *s, .take = take, .context = context};
    const stft_shape *shape = &s->front.stft;
    const int K = r->K = shape->n_fft / 2 + 1;
    r->M = s->front.bands;
    r->bank = mel_front_bank(&s->front);
    r->envelope = mel_envelope_new(&s->front);
    for (int i = 0; i < RING; i++) {
        r->level[i] = NEW_ARRAY(float, K);
        r->share[i] = NEW_ARRAY(float, K);
        r->change[i] = NEW_ARRAY(float, K);
    }
    for (int i = 0; i < MEL_RING; i++) r->mel[i] = NEW_ARRAY(float, r->M);
    r->phases = phase_integrator_new(shape->n_fft, shape->hop, random_child(s->key, STREAM_PHASES));
    r->noise_plan = stft_plan_new(shape, 1);
    r->white = NEW_ARRAY(float, shape->n_fft);
    random_normal(random_child(s->key, STREAM_NOISE), 0, r->white, (size_t) shape->n_fft);
    double sum = 0;
    const float *w = stft_window(shape);
    for (int i = 0; i < shape->n_fft; i++) sum += (double) w[i] * w[i];
    r->noise_scale = (float) (1 / sqrt(sum / 2));
    r->out = overlap_new(shape);
    for (int i = 0; i < s->regains; i++) r->regains[i] = (regain){framer_new(shape), overlap_new(shape), 0};
    r->phase = NEW_ARRAY(float, K);
    r->spectrum = NEW_ARRAY(float, 2 * K);
    r->magnitude = NEW_ARRAY(float, K);
    r->gain = NEW_ARRAY(float, K);
    r->gate = NEW_ARRAY(float, K);
    r->features = NEW_ARRAY(float, r->M);
    r->skip = (shape->n_fft - shape->hop) / 2;
    return r;
}

/* --- the last stages: blocks of sound, through the re-gains that are left --- */

/* Without the padding before and, where the number of frames is known, after the sound. */
static void put_out(resynthesis *r, const float *block, int64_t frames) {
    const int64_t hop = r->settings.front.stft.hop, dropped = r->skip < hop ? r->skip : hop;
    int64_t n = hop - dropped;
    r->skip -= dropped;
    if (frames >= 0 && n > frames * hop - r->sent) n = frames * hop - r->sent;
    if (n < 1) return;
    r->take(r->context, block + dropped, n);
    r->sent += n;
}

/* spectrum of a round's next frame -> r->spectrum with the levels that its mel asks for. */
static void mend(resynthesis *r, const float *spectrum, const float *wanted) {
    const int K = r->K;
    for (int k = 0; k < K; k++) {
        const float re = spectrum[2 * k], im = spectrum[2 * k + 1];
        r->magnitude[k] = sqrtf(re * re + im * im + r->settings.front.inside_root);
    }
    mel_of_magnitudes(&r->settings.front, r->bank, r->magnitude, r->features);
    for (int m = 0; m < r->M; m++) r->features[m] = fminf(fmaxf(wanted[m] - r->features[m], -MOST_REGAIN), MOST_REGAIN);
    mel_envelope_spread(r->envelope, r->features, r->gain);
    for (int k = 0; k < K; k++) {
        const float gain = expf(r->gain[k]);
        r->spectrum[2 * k] = spectrum[2 * k] * gain;
        r->spectrum[2 * k + 1] = spectrum[2 * k + 1] * gain;
    }
}

/* A block that round `next` takes; frames: as in framer_push. */
static void pass(resynthesis *r, int next, const float *block, int64_t frames) {
    if (next == r->settings.regains) {
        put_out(r, block, frames);
        return;
    }
    regain *g = &r->regains[next];
    const float *spectrum = framer_push(g->in, block, frames);
    if (!spectrum) return;
    mend(r, spectrum, r->mel[g->frames++ % MEL_RING]);
    pass(r, next + 1, overlap_push(g->out, r->spectrum), frames);
}

/* --- the first stages --- */

static int64_t within(const resynthesis *r, int64_t frame) {
    return frame < 0 ? 0 : frame >= r->known ? r->known - 1 : frame;
}

/* The mean over neighbouring bins of the change of level round a frame. */
static void measure_change(resynthesis *r, int64_t frame) {
    const int K = r->K;
    const float *before = r->level[within(r, frame - 1) % RING], *after = r->level[within(r, frame + 1) % RING];
    float *change = r->change[frame % RING];
    double sum = 0;
    int count = 0;
    for (int k = -ONSET_REACH; k < K; k++) {
        const int in = k + ONSET_REACH, out = k - ONSET_REACH - 1;
        if (in < K) sum += fabsf(after[in] - before[in]) / 2, count++;
        if (out >= 0) sum -= fabsf(after[out] - before[out]) / 2, count--;
        if (k >= 0) change[k] = (float) (sum / count);
    }
}

/* What is noise in each bin of a frame, 0 .. 1: confident shares, and none where a hit is near. */
static void set_gate(resynthesis *r, int64_t frame) {
    const int64_t last = r->changes - 1;
    const float *a = r->change[(frame > 0 ? frame - 1 : 0) % RING], *b = r->change[frame % RING],
                *c = r->change[(frame < last ? frame + 1 : last) % RING], *share = r->share[frame % RING];
    for (int k = 0; k < r->K; k++) {
        const float most = fmaxf(fmaxf(a[k], b[k]), c[k]);
        r->gate[k] = share[k] / (1 + expf((most - ONSET_AT) / ONSET_WIDTH));
    }
}

static const float *noise_of(resynthesis *r, int64_t frame) {
    const int n_fft = r->settings.front.stft.n_fft, hop = r->settings.front.stft.hop;
    if (frame > 0) {
        memmove(r->white, r->white + hop, (size_t) (n_fft - hop) * sizeof(float));
        random_normal(random_child(r->settings.key, STREAM_NOISE), (uint64_t) (frame * hop + n_fft - hop),
                      r->white + n_fft - hop, (size_t) hop);
    }
    return stft_frame(r->noise_plan, 0, r->white);
}

static void make_spectrum(resynthesis *r, int64_t frame) {
    const float *level = r->level[frame % RING];
    set_gate(r, frame);
    phase_next(r->phases, level, r->level[within(r, frame + 1) % RING], r->phase);
    const float *noise = noise_of(r, frame);
    for (int k = 0; k < r->K; k++) {
        const float amplitude = expf(level[k]), steady = amplitude * sqrtf(1 - r->gate[k]);
        const float random = amplitude * sqrtf(r->gate[k] / 2) * r->noise_scale;
        float sine, cosine;
        sincosf(r->phase[k], &sine, &cosine);
        r->spectrum[2 * k] = steady * cosine + random * noise[2 * k];
        r->spectrum[2 * k + 1] = steady * sine + random * noise[2 * k + 1];
    }
}

/* All frames whose followers are known: two of them, or all that come. */
static void advance(resynthesis *r, bool last) {
    const int64_t ahead = last ? 0 : 1;
    while (r->changes + ahead < r->known) {
        measure_change(r, r->changes++);
        if (r->changes < 2) continue;
        make_spectrum(r, r->done++);
        pass(r, 0, overlap_push(r->out, r->spectrum), -1);
    }
    while (last && r->done < r->known) {
        make_spectrum(r, r->done++);
        pass(r, 0, overlap_push(r->out, r->spectrum), -1);
    }
}

void resynthesis_push(resynthesis *r, const float *log_mel, const float *steady, const float *noise) {
    const int64_t frame = r->known++;
    float *level = r->level[frame % RING], *share = r->share[frame % RING];
    memcpy(r->mel[frame % MEL_RING], log_mel, (size_t) r->M * sizeof(float));
    const float from = (float) r->settings.noise_from, width = (float) (r->settings.noise_to - r->settings.noise_from);
    for (int k = 0; k < r->K; k++) {
        const float random = 2 * noise[k] * noise[k], power = steady[k] * steady[k] + random;
        level[k] = 0.5f * logf(power > LEAST_POWER ? power : LEAST_POWER);
        const float confident = (random / (power > LEAST_POWER ? power : LEAST_POWER) - from) / width;
        share[k] = fminf(fmaxf(confident, 0), 1);
    }
    advance(r, false);
}

void resynthesis_finish(resynthesis *r) {
    if (!r->known) return;
    advance(r, true);
    const stft_shape *s = &r->settings.front.stft;
    const int rest = s->n_fft / s->hop - 1;
    for (int next = 0; next <= r->settings.regains; next++)
        for (int i = 0; i < rest; i++) {
            overlap *o = next ? r->regains[next - 1].out : r->out;
            pass(r, next, overlap_drain(o), r->known);
        }
}
