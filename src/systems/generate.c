/* Sounds from models. T samples, F frames, M mels. */
#include "systems/generate.h"

#include <math.h>
#include <string.h>

#include "base/progress.h"
#include "systems/latent_pieces.h"
#include "systems/latent_start.h"
#include "systems/sample.h"

enum { MOST_SAMPLES = 1 << 29 };
static const double UNKNOWN_LENGTH_SECONDS = 5;

const char *const REQUEST_HANDLE_NAMES[REQUEST_HANDLES + 1] = {"text",  "class",  "mel", "reference",
                                                               "tempo", "melody", NULL};

sound_request sound_request_default(void) {
    return (sound_request){.count = 1,
                           .eta = -1,
                           .class = -1,
                           .guidance = 1,
                           .strength = 1,
                           .blend_until = NAN,
                           .key = -1,
                           .handle_guidance = {NAN, NAN, NAN, NAN, NAN, NAN}};
}

sound_request sound_request_for(const model *m) {
    sound_request r = sound_request_default();
    if (m->latent) r.guidance = m->latent->guidance;
    return r;
}

int64_t request_samples(const model *m, const sound_request *r) {
    double samples = r->seconds * m->rate;
    if (r->seconds == 0) samples = m->length ? (double) m->length : UNKNOWN_LENGTH_SECONDS * m->rate;
    if (samples > MOST_SAMPLES)
        fail(HISS_ERROR_ARGUMENT, "a sound of %g s: at %d Hz give at most %.0f s", r->seconds, m->rate,
             floor(MOST_SAMPLES / (double) m->rate));
    if (!(samples >= 1))
        fail(HISS_ERROR_ARGUMENT, "a sound of %g s is less than one sample at %d Hz", r->seconds, m->rate);
    return llround(samples);
}

void request_settle(const model *m, sound_request *r) {
    const bool long_as_given = r->seconds != 0 || r->init || r->melody || r->mel || r->chords || r->blend || r->loop;
    if (!long_as_given && m->latent && m->latent->usual_seconds) r->seconds = m->latent->usual_seconds(m, r);
}

bool request_watches(const sound_request *r, int64_t step, int64_t steps) {
    if (!r->watch || step >= steps) return false; /* adaptive walks may take more than they announce */
    int64_t most = r->most_watched < steps ? r->most_watched : steps;
    return step * most / steps != (step - 1) * most / steps || step == 0;
}

static void check_common(const model *m, const sound_request *r) {
    sample_check(m, r);
    if (r->chords && r->melody) fail(HISS_ERROR_ARGUMENT, "chords and a melody (--chords, --melody): give one of them");
    if (r->count < 1) fail(HISS_ERROR_ARGUMENT, "count %lld: make at least one sound", (long long) r->count);
    if (r->class >= m->class_count)
        fail(HISS_ERROR_ARGUMENT, "class %d: %s has %lld", r->class, m->path, (long long) m->class_count);
    const char *asked = r->prompt || r->blend ? "a prompt"
                        : r->negative         ? "a negative prompt"
                        : r->mel              ? "a rough mel"
                        : r->reference        ? "a reference"
                        : r->melody           ? "a melody"
                        : r->chords           ? "chords"
                        : r->init             ? "a sound to start from"
                        : r->loop             ? "a loop"
                        : r->vocoder          ? "another vocoder"
                        : r->start != 0       ? "a start"
                        : r->set              ? "other conditions"
                        : r->text_encoder     ? "another text encoder"
                                              : NULL;
    if (asked && !m->latent)
        fail(HISS_ERROR_ARGUMENT, "%s cannot be asked for %s: it is made from noise and a class alone", m->path, asked);
    if (m->latent) start_check(m, r);
    if (r->guidance != 1 && !m->class_count && !m->latent)
        warn("%s knows no classes: guidance changes nothing", m->path);
}

void request_check(const model *m, const sound_request *r) {
    if (m->mels)
        fail(HISS_ERROR_ARGUMENT, "%s sings back a mel spectrogram: use hiss vocode --model %s IN.wav -o OUT.wav",
             m->path, m->path);
    check_common(m, r);
    request_samples(m, r);
}

/* [1, T] -> mono sound of `samples` of them. */
static audio *sound_of(const tensor *x, int64_t samples, int rate) {
    audio *a = audio_new(samples, 1, rate);
    memcpy(a->samples, f32(x), (size_t) samples * sizeof(float));
    return a;
}

/* Long sounds are handed on while they are decoded, even where the walk has to be whole; others where that is asked for and takes
 * some time: not by systems that sing as they go. */
static bool streams(const model *m, const sound_request *r) {
    const bool sings = m->latent && m->latent->voice_begin,
               is_long = (double) request_samples(m, r) > LONG_SECONDS * m->rate;
    return latent_streams(m, r) && (is_long || (r->stream && !sings));
}

bool has_pieces(const model *m, const sound_request *r) { return latent_has_pieces(m, r) || streams(m, r); }

/* What prepare gave, for sound i. */
static const void *asked_of(const model *m, const sound_request *r, void *asked, int64_t i) {
    if (m->latent->vary) m->latent->vary(asked, r->seed + (uint64_t) i);
    return asked;
}

static void pieces(const model *m, const sound_request *r, const void *asked, int64_t i, take_samples *take,
                   void *context) {
    if (latent_has_pieces(m, r)) latent_pieces(m, r, asked, i, take, context);
    else latent_stream(m, r, asked, i, take, context);
}

void generate_pieces(const model *m, const sound_request *r, int64_t i, take_samples *take, void *context) {
    request_check(m, r);
    scope_begin();
    pieces(m, r, asked_of(m, r, m->latent->prepare(m, r, request_samples(m, r)), i), i, take, context);
    scope_end();
}

/* A long sound of pieces, whole. */
static const audio *joined_pieces(const model *m, const sound_request *r, const void *asked, int64_t i) {
    joined j = {audio_new(request_samples(m, r), m->channels, m->rate), 0};
    pieces(m, r, asked, i, join_samples, &j);
    require(j.done == j.sound->frames);
    return j.sound;
}

static void generate_latent(const model *m, const sound_request *r, take_sound take, void *context) {
    scope_begin();
    void *prepared = m->latent->prepare(m, r, request_samples(m, r));
    const bool in_pieces = has_pieces(m, r); /* the same samples whether they are kept or handed on */
    for (int64_t i = 0; i < r->count; i++) {
        scope_begin();
        const void *asked = asked_of(m, r, prepared, i);
        take(context, i, in_pieces ? joined_pieces(m, r, asked, i) : latent_sound(m, r, asked, i));
        scope_end();
    }
    scope_end();
}

void generate_sounds(const model *m, const sound_request *r, take_sound take, void *context) {
    request_check(m, r);
    if (m->latent) {
        generate_latent(m, r, take, context);
        return;
    }
    int64_t samples = request_samples(m, r), T = (samples + m->hop - 1) / m->hop * m->hop;
    condition c = {.m = m, .classes = r->class < 0 ? NULL : &r->class, .guidance = r->guidance};
    for (int64_t i = 0; i < r->count; i++) {
        scope_begin();
        tensor *x = sample(&c, r, i, T);
        take(context, i, sound_of(x, samples, m->rate));
        scope_end();
    }
}

audio *vocode_mel(const model *m, const sound_request *r, const tensor *mel) {
    if (!m->mels) fail(HISS_ERROR_ARGUMENT, "%s takes no mel spectrogram: use hiss generate", m->path);
    check_common(m, r);
    int64_t F = mel->shape[0], M = mel->shape[1];
    if (M != m->mels)
        fail(HISS_ERROR_ARGUMENT, "%s takes %lld mel bands, not %lld", m->path, (long long) m->mels, (long long) M);
    if (F < 1 || F > MOST_SAMPLES / m->hop)
        fail(HISS_ERROR_ARGUMENT, "a mel spectrogram of %lld frames: give 1 to %lld", (long long) F,
             (long long) (MOST_SAMPLES / m->hop));
    audio *result = audio_new(F * m->hop, 1, m->rate);
    scope_begin();
    if (m->system->sing) {
        m->system->sing(m, r->seed, mel, result->samples);
        for (int64_t i = 0; i < result->frames; i++)
            if (!isfinite(result->samples[i]))
                fail(HISS_ERROR_FORMAT, "%s: the network gave values that are not numbers: are its weights damaged?",
                     m->path);
        scope_end();
        return result;
    }
    tensor *batch = tensor_wrap(F32, SHAPE(1, F, M), host_data(mel));
    condition c = {.m = m, .mel = batch, .classes = r->class < 0 ? NULL : &r->class, .guidance = r->guidance};
    tensor *x = sample(&c, r, 0, F * m->hop);
    memcpy(result->samples, f32(x), (size_t) result->frames * sizeof(float));
    scope_end();
    return result;
}

/* --- mel spectrograms --- */

mel_front model_front(const model *m) {
    if (!m->front)
        fail(HISS_ERROR_ARGUMENT, "%s takes no mel spectrogram%s", m->path,
             m->latent ? ": leave --model out for that of hiss's own vocoder" : "");
    mel_front f = mel_front_named(m->front);
    f.rate = m->rate;
    f.bands = (int) m->mels;
    f.stft.hop = (int) m->hop;
    f.stft.n_fft = (int) config_int(m->settings, "n_fft", f.stft.n_fft, 2, STFT_MAX_SIZE);
    f.stft.window = (int) config_int(m->settings, "win_size", f.stft.window, 1, f.stft.n_fft);
    f.low_hz = config_number(m->settings, "fmin", f.low_hz, 0, f.rate / 2.0);
    f.high_hz = config_number(m->settings, "fmax", f.high_hz, 0, f.rate / 2.0);
    return f;
}

tensor *mel_of(const mel_front *f, const audio *sound) {
    if (sound->channels > 1 && !f->mixed)
        warn("%d channels: the first one is used, as in the original", sound->channels);
    audio *mono = f->mixed ? audio_mix_down(sound) : audio_channel(sound, 0);
    if (mono->rate != f->rate) {
        warn("resampled from %d Hz to the model's %d Hz", mono->rate, f->rate);
        mono = audio_resample(mono, f->rate);
    }
    return mel_compute(f, mono->samples, mono->frames);
}

static tensor *transposed(const tensor *x) { /* [M, F] -> [F, M] */
    int64_t M = x->shape[0], F = x->shape[1];
    tensor *y = tensor_new(F32, SHAPE(F, M));
    for (int64_t m = 0; m < M; m++)
        for (int64_t t = 0; t < F; t++) f32(y)[t * M + m] = f32(x)[m * F + t];
    return y;
}

static tensor *read_any(const char *path) {
    store *s = store_open(path);
    if (store_count(s) == 1) return store_read(s, store_at(s, 0)->name);
    if (store_find(s, "mel")) return store_read(s, "mel");
    fail(HISS_ERROR_FORMAT, "%s: holds %zu tensors and none is named 'mel'", path, store_count(s));
}

tensor *mel_read(const char *path, int64_t mels, bool unit_scale) {
    tensor *x = read_any(path);
    if (x->type != F32 && x->type != F64 && x->type != F16 && x->type != BF16)
        fail(HISS_ERROR_FORMAT, "%s: a mel spectrogram holds real numbers, not %s", path, dtype_name(x->type));
    x = tensor_to_f32(x);
    if (x->rank == 3 && x->shape[0] == 1) x = tensor_view(x, 0, SHAPE(x->shape[1], x->shape[2]));
    if (x->rank != 2 || count(x) == 0 || (mels && x->shape[0] != mels && x->shape[1] != mels))
        fail(HISS_ERROR_FORMAT,
             "%s: %s is not a mel spectrogram of %lld bands: save it as [bands, frames] or [frames, bands]", path,
             shape_text(shape_of(x)), (long long) mels);
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < count(x); i++) {
        if (!isfinite(f32(x)[i])) fail(HISS_ERROR_FORMAT, "%s: value %lld is not a number", path, (long long) i);
        low = fminf(low, f32(x)[i]);
        high = fmaxf(high, f32(x)[i]);
    }
    if (unit_scale && (low < -0.01f || high > 1.01f))
        warn("%s: values from %g to %g, but DiffWave and WaveGrad were trained on 0 to 1: is it scaled their way?",
             path, low, high);
    return mels && x->shape[0] != mels ? x : transposed(x);
}

/* --- the forward process --- */

audio *add_noise(const audio *clean, double alpha_bar, uint64_t seed) {
    audio *noisy = audio_new(clean->frames, clean->channels, clean->rate);
    int64_t n = clean->frames * clean->channels;
    random_normal(sound_key(seed), 0, noisy->samples, (size_t) n);
    float keep = (float) sqrt(alpha_bar), noise = (float) sqrt(1 - alpha_bar);
    for (int64_t i = 0; i < n; i++) noisy->samples[i] = keep * clean->samples[i] + noise * noisy->samples[i];
    return noisy;
}
