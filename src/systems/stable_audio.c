/* Stable Audio Open, 1.0 and Small, and other models of stable-audio-tools with the same parts: latents of Oobleck, a diffusion
 * transformer in the light of T5's states and of seconds. Native files and diffusers' folders. N positions, L numbers of a latent, S
 * tokens, E their width. */
#include "systems/stable_audio.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/sampler.h"
#include "signal/turn.h"
#include "systems/rows.h"
#include "systems/stable_asked.h"
#include "tensor/ops.h"

/* --- the network --- */

/* [1, n, 1 + L]: whether a position is kept, and what it is then; zeros where all is made. */
static const tensor *kept_channels(const stable_asked *a, const int64_t *at, int64_t n, int64_t L) {
    tensor *y = tensor_zero(F32, SHAPE(1, n, 1 + L));
    for (int64_t i = 0; a->known && i < n; i++) {
        float *to = f32(y) + i * (1 + L), keep = a->keep[at[i]];
        to[0] = keep;
        for (int64_t c = 0; c < L; c++) to[1 + c] = keep * f32(a->known)[at[i] * L + c];
    }
    return y;
}

/* z [1, n, L] at time t -> what the network predicts, guided. */
static tensor *predict(const stable_audio *net, const stable_asked *a, const tensor *z, float time, const int64_t *at) {
    const int64_t n = z->shape[1], L = z->shape[2];
    const bool guided = stable_is_guided(net, a);
    const tensor *concat = net->inpaints ? kept_channels(a, at, n, L) : NULL;
    const float t[2] = {time, time};
    const stable_dit_condition c = {a->context, a->vector, a->prepend,
                                    concat && guided ? stable_stacked(concat, concat) : concat};
    tensor *y = stable_dit_forward(net->dit, guided ? stable_stacked(z, z) : z, t, &c);
    if (!guided) return y;
    const tensor *cond = tensor_wrap(F32, SHAPE(1, n, L), f32(y)),
                 *free = tensor_wrap(F32, SHAPE(1, n, L), f32(y) + n * L);
    return guide(&a->guidance, cond, free, NULL, NULL);
}

/* Positions as whole patches: the last is repeated. */
static tensor *scaled_and_filled(const tensor *x, double factor, int64_t patch) {
    const int64_t n = x->shape[1], L = x->shape[2], whole = (n + patch - 1) / patch * patch;
    tensor *z = tensor_new(F32, SHAPE(1, whole, L));
    for (int64_t i = 0; i < whole * L; i++) {
        const int64_t row = i / L < n ? i / L : n - 1;
        f32(z)[i] = (float) (factor * (double) f32(x)[row * L + i % L]);
    }
    return z;
}

/* Time of a network, 0 clean to 1 noise. */
static double network_time(process kind, double sigma) {
    return kind == PROCESS_ROTATING ? time_of(kind, sigma) * 2 / M_PI : time_of(kind, sigma);
}

static estimate denoise(const model *m, const void *asked, const tensor *x, double sigma, double to, const int64_t *at,
                        int64_t whole) {
    const stable_audio *net = m->network;
    (void) to;
    stable_asked *a = (stable_asked *) asked; /* what it keeps of the window at hand is not the caller's */
    const int64_t n = x->shape[1], patch = stable_dit_sizes(net->dit)->patch;
    const bool inside = n < whole && at[0] + n - 1 == at[n - 1]; /* a window of a longer sound, not cut open */
    stable_set_window(m, a, inside ? (double) (at[0] * m->hop) / m->rate : 0);
    const mixing mixed = mixing_at(net->process, sigma);
    scope_begin();
    const tensor *z = scaled_and_filled(x, state_scale(net->process, sigma), patch);
    const int64_t filled = z->shape[1];
    int64_t *places = NEW_ARRAY(int64_t, filled);
    for (int64_t i = 0; i < filled; i++) places[i] = at[i < n ? i : n - 1];
    const tensor *y = predict(net, a, z, (float) network_time(net->process, sigma), places);
    estimate e = estimate_of(stable_dit_sizes(net->dit)->predicts, mixed, z, y);
    tensor *clean = slice_time(e.clean, 0, n);
    if (sigma > 0) return (estimate){scope_end_keep(clean), NULL}; /* the noise follows */
    tensor *noise = slice_time(e.noise, 0, n);
    SCOPE_END_KEEP(&clean, &noise);
    return (estimate){clean, noise};
}

static void keep(const void *asked, const tensor *known, const float *keep_each) {
    stable_asked *a = (stable_asked *) asked;
    a->known = known;
    a->keep = keep_each;
}

/* --- sound --- */

static shape state(const model *m, int64_t samples, bool loop) {
    const stable_audio *net = m->network;
    const int64_t L = oobleck_sizes(net->autoencoder)->latent, nearest = (samples + m->hop / 2) / m->hop;
    if (loop) return SHAPE(nearest < 2 ? 2 : nearest, L);
    int64_t n = (samples + m->hop - 1) / m->hop;
    while (oobleck_samples(net->autoencoder, n) < samples) n++; /* odd strides lose some */
    return SHAPE(n > net->window ? n : net->window, L);
}

static tensor *encode(const model *m, const audio *sound, int64_t positions, noise_source noise) {
    const stable_audio *net = m->network;
    const int64_t A = m->channels, L = oobleck_sizes(net->autoencoder)->latent;
    scope_begin();
    int64_t T = positions * m->hop;
    while (oobleck_frames(net->autoencoder, T) < positions) T += m->hop; /* odd strides lose some */
    tensor *x = tensor_zero(F32, SHAPE(1, T, A));
    const int64_t n = sound->frames < T ? sound->frames : T;
    memcpy(x->data, sound->samples, (size_t) (n * A) * sizeof(float));
    const tensor *y = slice_time(oobleck_encode_tiles(net->autoencoder, x), 0, positions);
    tensor *z = tensor_zero(F32, SHAPE(1, positions, L)), *drawn = tensor_new(F32, shape_of(z));
    noise.draw(noise.context, f32(drawn), count(drawn));
    oobleck_draw(net->autoencoder, y, f32(drawn), (float) (1 / net->latent_scale), z);
    return scope_end_keep(z);
}

typedef struct {
    float *to;
    int64_t first, frames, channels; /* which are taken */
} taking;

static void take_frames(void *context, int64_t first, const tensor *samples) {
    const taking *t = context;
    const int64_t n = samples->shape[1], C = t->channels;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = first + i - t->first;
        if (at >= 0 && at < t->frames) memcpy(t->to + at * C, f32(samples) + i * C, (size_t) C * sizeof(float));
    }
}

/* Rows `before` and after a turn are those of the turns around it. */
static tensor *around(const tensor *x, int64_t before) {
    const int64_t N = x->shape[1], L = x->shape[2], n = N + 2 * before;
    tensor *y = tensor_new(F32, SHAPE(1, n, L));
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = ((i - before) % N + N) % N;
        memcpy(f32(y) + i * L, f32(x) + at * L, (size_t) L * sizeof(float));
    }
    return y;
}

static audio *decode(const model *m, const void *asked, const tensor *x, int64_t samples, uint64_t seed, bool loop) {
    enum { REACH = 32 }; /* latents; more than the decoder sees */
    const stable_audio *net = m->network;
    (void) asked, (void) seed;
    audio *result = audio_new(samples, m->channels, m->rate);
    memory_trim(); /* the walk's is of other sizes */
    scope_begin();
    const tensor *z = net->latent_scale == 1 ? x : scale(x, (float) net->latent_scale, F32);
    if (!loop) {
        taking t = {result->samples, 0, samples, m->channels};
        oobleck_decode_tiles(net->autoencoder, z, samples, take_frames, &t);
    } else {
        const int64_t turn = x->shape[1] * m->hop;
        audio *whole = turn == samples ? result : audio_new(turn, m->channels, m->rate);
        taking t = {whole->samples, REACH * m->hop, turn, m->channels};
        oobleck_decode_tiles(net->autoencoder, around(z, REACH), (REACH + x->shape[1]) * m->hop, take_frames, &t);
        if (whole != result) fit_turn(whole, result);
    }
    scope_end();
    return result;
}

typedef struct {
    take_samples *take;
    void *context;
} passing;

static void pass_on(void *context, int64_t first, const tensor *samples) {
    const passing *p = context;
    (void) first;
    p->take(p->context, f32(samples), samples->shape[1]);
}

static void decode_pieces(const model *m, const void *asked, const tensor *x, int64_t samples, uint64_t seed, bool loop,
                          take_samples *take, void *context) {
    const stable_audio *net = m->network;
    (void) asked, (void) seed, (void) loop;
    passing p = {take, context};
    const tensor *z = net->latent_scale == 1 ? x : scale(x, (float) net->latent_scale, F32);
    oobleck_decode_tiles(net->autoencoder, z, samples, pass_on, &p);
}

static void *prepare(const model *m, const sound_request *r, int64_t samples) { return stable_ask(m, r, samples); }

static const struct latent_row LATENT = {.prepare = prepare,
                                         .state = state,
                                         .denoise = denoise,
                                         .encode = encode,
                                         .decode = decode,
                                         .decode_pieces = decode_pieces,
                                         .keep = keep};

/* --- the row --- */

static bool find(const char *path, const char **weights, const char **settings) {
    stable_files f;
    if (!stable_files_find(path, &f)) return false;
    const char *kind = stable_kind(config_load(f.settings));
    if (!kind || (!starts_with(kind, "diffusion") && strcmp(kind, "StableAudioPipeline") != 0)) return false;
    *weights = f.weights;
    *settings = f.settings;
    return true;
}

static void open(model *m, const store *s, binder *b) { stable_audio_open(m, s, b, &LATENT); }

static bool holds(const store *s) {
    static const char *const LANDMARKS[] = {"model.model.transformer.project_in.weight",
                                            "diffusion.model.model.transformer.project_in.weight",
                                            "transformer_blocks.0.attn2.to_q.weight"};
    for (size_t i = 0; i < sizeof LANDMARKS / sizeof *LANDMARKS; i++)
        if (store_find(s, LANDMARKS[i])) return true;
    return false;
}

const system_row SYSTEM_STABLE_AUDIO = {
    .name = "stable-audio",
    .paper = "Evans et al. 2024, arXiv 2407.14358",
    .holds = holds,
    .find = find,
    .open = open,
    .latent = &LATENT,
};
