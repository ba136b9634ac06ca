/* Whole models of stable-audio-tools, opened as a user's are, walked with the case's noise: a row of the batch at a time. Outputs
 * are [B, L, N], as published; states on the way [steps, B, L, N]. */
#include "parity_stable_model.h"

#include <math.h>
#include <string.h>

#include "diffusion/sampler.h"
#include "diffusion/shift.h"
#include "signal/fit.h"
#include "systems/stable_audio.h"
#include "systems/t5_text.h"
#include "tensor/ops.h"

/* --- one walk --- */

typedef struct {
    parity_case *c;
    const model *m;
    const stable_audio *net;
    int64_t B, N, L, row; /* the batch, and which of it is at hand */
    sound_request request;
    void *asked;
    levels levels;
    const char *sampler;
    sampler_options options;
    double first_scale;  /* of the first noise, 0: the first level */
    const tensor *clean; /* [1, N, L] around which it starts, or NULL */
    int64_t drawn, called;
    tensor *latents, *denoised, *trace; /* [B, N, L], [steps, B, N, L] */
} walked;

/* Row i of x [.., L, N] as [N, L]. */
static void copy_turned(const float *x, int64_t i, int64_t L, int64_t N, float *to) {
    for (int64_t c = 0; c < L; c++)
        for (int64_t t = 0; t < N; t++) to[t * L + c] = x[(i * L + c) * N + t];
}

static tensor *as_published(const tensor *x) { /* [.., N, L] -> [.., L, N] */
    const int64_t N = x->shape[x->rank - 2], L = x->shape[x->rank - 1], rows = count(x) / (N * L);
    return swap_last_two(tensor_wrap(F32, SHAPE(rows, N, L), f32(x)));
}

static void draw_given(void *context, double from, double to, float *z, int64_t n) {
    walked *w = context;
    const tensor *given = parity_in_f32(w->c, "step_noise");
    (void) from, (void) to;
    require(n == w->N * w->L && (w->drawn + 1) * w->B * n <= count(given));
    copy_turned(f32(given), w->drawn++ * w->B + w->row, w->L, w->N, z);
}

static estimate believe(void *context, const tensor *x, double sigma) {
    walked *w = context;
    int64_t *at = NEW_ARRAY(int64_t, w->N);
    for (int64_t i = 0; i < w->N; i++) at[i] = i;
    const estimate e = w->m->latent->denoise(w->m, w->asked, x, sigma, sigma, at, w->N);
    const int64_t n = w->N * w->L;
    if (w->denoised && w->called < w->denoised->shape[0])
        memcpy(f32(w->denoised) + (w->called++ * w->B + w->row) * n, e.clean->data, (size_t) n * sizeof(float));
    return e;
}

/* After each step, states at the levels of the process. */
typedef struct {
    walked *w;
    tensor *x;
} watching;

static void keep_state(void *context, int64_t done, int64_t total) {
    const watching *k = context;
    walked *w = k->w;
    const int64_t n = w->N * w->L;
    (void) total;
    if (w->trace) memcpy(f32(w->trace) + ((done - 1) * w->B + w->row) * n, k->x->data, (size_t) n * sizeof(float));
}

static void walk_row(walked *w, int64_t row) {
    const int64_t n = w->N * w->L;
    w->row = row;
    w->drawn = w->called = 0;
    tensor *x = tensor_new(F32, SHAPE(1, w->N, w->L));
    copy_turned(f32(parity_in_f32(w->c, "noise")), row, w->L, w->N, f32(x));
    const double first = w->first_scale != 0 ? w->first_scale : w->levels.sigmas[0];
    for (int64_t i = 0; i < n; i++)
        f32(x)[i] = (w->clean ? f32(w->clean)[i] : 0) + (float) (first * (double) f32(x)[i]);
    watching k = {w, x};
    const sampling s = {.denoise = {believe, w},
                        .sigmas = w->levels.sigmas,
                        .steps = w->levels.steps,
                        .noise = {draw_given, w},
                        .options = w->options,
                        .progress = keep_state,
                        .asked = &k};
    sampler_run(sampler_find(w->sampler), &s, x);
    memcpy(f32(w->latents) + row * n, x->data, (size_t) n * sizeof(float));
}

/* --- rows of the case --- */

static config value_of(parity_case *c, const char *name) {
    return config_get(config_get(config_get(parity_info(c), "inputs"), name), "value");
}

static bool has_value(parity_case *c, const char *name) {
    return config_has(config_get(parity_info(c), "inputs"), name);
}

static const char *text_of(parity_case *c, const char *name, int64_t i) {
    return has_value(c, name) ? json_string_value(config_at(value_of(c, name), (size_t) i).value) : NULL;
}

static double number_of(parity_case *c, const char *name, int64_t i) {
    const config v = value_of(c, name);
    return json_number_value(json_is_array(v.value) ? config_at(v, (size_t) i).value : v.value);
}

/* The seconds of each row are not those of its sound, which is as long as the window. */
static void ask(walked *w, int64_t i, const char *negatives) {
    parity_case *c = w->c;
    const double start = has_value(c, "seconds_start")      ? number_of(c, "seconds_start", i)
                         : has_value(c, "audio_start_in_s") ? number_of(c, "audio_start_in_s", i)
                                                            : 0,
                 total = number_of(c, has_value(c, "seconds_total") ? "seconds_total" : "audio_end_in_s", i);
    w->request.prompt = text_of(c, "prompts", i);
    w->request.negative = negatives ? text_of(c, negatives, i) : NULL;
    w->request.start = start;
    w->request.set = format("seconds_total=%.9g", total);
    w->asked = w->m->latent->prepare(w->m, &w->request, w->N * w->m->hop);
}

static walked open_whole(parity_case *c) {
    const config model_folder = parity_info(c);
    walked w = {.c = c};
    w.m = model_open(parity_path(c, config_string(model_folder, "model", ".")));
    w.net = w.m->network;
    const tensor *noise = parity_in(c, "noise");
    w.B = noise->shape[0];
    w.L = noise->shape[1];
    w.N = noise->shape[2];
    w.request = sound_request_for(w.m);
    w.latents = tensor_new(F32, SHAPE(w.B, w.N, w.L));
    w.options.eta = -1;
    if (w.net->window != w.N) fail(HISS_ERROR_INTERNAL, "the window is %lld latents", (long long) w.net->window);
    return w;
}

/* All rows with these levels and this guidance. */
static void walk_all(walked *w, const char *sampler, levels l, double guidance_scale, double rescale,
                     const char *negatives) {
    w->sampler = sampler;
    w->levels = l;
    w->request.guidance = guidance_scale;
    w->request.rescale = rescale;
    for (int64_t i = 0; i < w->B; i++) {
        ask(w, i, negatives);
        walk_row(w, i);
    }
}

static void follow(walked *w, const char *name) {
    w->denoised = parity_has_out(w->c, name) ? tensor_zero(F32, SHAPE(w->levels.steps, w->B, w->N, w->L)) : NULL;
}

/* --- what is compared --- */

typedef struct {
    float *to;
    int64_t channels;
} taken;

static void take(void *context, int64_t first, const tensor *samples) {
    const taken *t = context;
    memcpy(t->to + first * t->channels, samples->data, tensor_bytes(samples));
}

/* The walk's latents; with bf16 operands the original's, so that the decoder's own error is seen. */
static const tensor *to_decode(const walked *w, const char *prefix) {
    return operands() == BF16 ? swap_last_two(parity_expected(w->c, format("%slatents", prefix))) : w->latents;
}

/* Audio of latents [B, N, L] as [B, channels, samples]; the first `samples` from `begin` on, 0: all. */
static tensor *sound_of(const walked *w, const tensor *latents, int64_t begin, int64_t samples) {
    const int64_t T = oobleck_samples(w->net->autoencoder, w->N), A = w->m->channels, n = samples ? samples : T - begin;
    tensor *all = tensor_new(F32, SHAPE(w->B, T, A));
    for (int64_t b = 0; b < w->B; b++) {
        taken t = {f32(all) + b * T * A, A};
        const tensor *z = tensor_wrap(F32, SHAPE(1, w->N, w->L), f32(latents) + b * w->N * w->L);
        oobleck_decode_tiles(w->net->autoencoder, z, 0, take, &t);
    }
    return swap_last_two(slice_time(all, begin, n));
}

/* The states that precision may part from the original's by more than one pass does: later ones follow from them. */
static void out_walk(walked *w, const char *prefix) {
    parity_case *c = w->c;
    parity_walked(c, format("%slatents", prefix), as_published(w->latents));
    if (w->denoised) parity_walked(c, format("%sdenoised", prefix), as_published(w->denoised));
    if (parity_has_out(c, format("%saudio", prefix)))
        parity_out(c, format("%saudio", prefix), sound_of(w, to_decode(w, prefix), 0, 0));
}

static void out_sigmas(walked *w, const char *name) {
    tensor *s = tensor_new(F32, SHAPE(w->levels.steps));
    for (int64_t i = 0; i < w->levels.steps; i++)
        f32(s)[i] = (float) (w->net->process == PROCESS_STRAIGHT ? time_of(PROCESS_STRAIGHT, w->levels.sigmas[i])
                                                                 : w->levels.sigmas[i]);
    parity_out(w->c, name, s);
}

static void out_conditions(walked *w) {
    parity_case *c = w->c;
    if (!parity_has_out(c, "cross_attn_cond")) return;
    tensor *tokens = tensor_new(F32, shape_of(parity_expected(c, "cross_attn_cond"))),
           *vectors = tensor_new(F32, shape_of(parity_expected(c, "global_cond")));
    for (int64_t i = 0; i < w->B; i++) {
        ask(w, i, NULL);
        const stable_inputs k = stable_inputs_of(w->m, w->asked, 0);
        memcpy(f32(tokens) + i * count(k.tokens), k.tokens->data, tensor_bytes(k.tokens));
        memcpy(f32(vectors) + i * count(k.vector), k.vector->data, tensor_bytes(k.vector));
    }
    parity_out(c, "cross_attn_cond", tokens);
    parity_out(c, "global_cond", vectors);
}

static void out_ids(walked *w) {
    parity_case *c = w->c;
    if (!parity_has_out(c, "ids")) return;
    const int64_t S = parity_expected(c, "ids")->shape[1];
    const char **texts = NEW_ARRAY(const char *, w->B);
    for (int64_t i = 0; i < w->B; i++) texts[i] = text_of(c, "prompts", i);
    const t5_states t = t5_text_encode(t5_text_open(parity_path(c, "t5-base"), NULL), texts, w->B, S);
    tensor *ids = tensor_new(I32, SHAPE(w->B, S));
    memcpy(ids->data, t.ids, tensor_bytes(ids));
    parity_out(c, "ids", ids);
    parity_out(c, "mask", t.mask);
}

/* --- sounds that are started from --- */

typedef struct {
    walked *w;
    const tensor *given;
    int64_t row;
} given_noise;

static void draw_bottleneck(void *context, float *z, int64_t n) {
    const given_noise *g = context;
    require(n == g->w->N * g->w->L);
    copy_turned(f32(g->given), g->row % g->given->shape[0], g->w->L, g->w->N, z);
}

/* in.NAME, [.., channels, samples] at the model's rate, as clean latents. */
static const tensor *encoded(walked *w, const char *name, int64_t row) {
    const tensor *x = parity_in_f32(w->c, name);
    const int64_t T = x->shape[x->rank - 1], channels = x->shape[x->rank - 2], A = w->m->channels;
    audio *sound = NEW(audio);
    *sound = (audio){NEW_ARRAY(float, T *A), T, (int) A, w->m->rate};
    const float *from = f32(x) + (x->rank == 3 ? row * channels * T : 0);
    for (int64_t i = 0; i < T * A; i++) sound->samples[i] = from[(channels == A ? i % A : 0) * T + i / A];
    given_noise g = {w, parity_in_f32(w->c, "vae_noise"), row};
    return w->m->latent->encode(w->m, sound, w->N, (noise_source){draw_bottleneck, &g});
}

/* --- native: v --- */

static levels even_logs(double least, double most) {
    enum { STEPS = 6 };
    return levels_between(schedule_find("polyexponential"), STEPS, least, most, 1);
}

/* The model's own walk of six steps. */
static void run_usual(walked *w) {
    w->levels = w->m->latent->levels(w->m, 6, 1);
    follow(w, "denoised");
    walk_all(w, w->m->sampler, w->levels, w->m->latent->guidance, 0, NULL);
    out_sigmas(w, "sigmas");
    out_walk(w, "");
}

static void run_v(walked *w) {
    run_usual(w);
    w->clean = encoded(w, "init_audio", 0);
    follow(w, "vary_denoised");
    walk_all(w, w->m->sampler, even_logs(0.3, 8), 4, 0.6, "negative_prompts");
    out_sigmas(w, "vary_sigmas");
    out_walk(w, "vary_");
    w->clean = w->denoised = NULL;
    walk_all(w, "dpmpp-2m-sde", even_logs(0.03, 100), 4, 0, NULL);
    out_walk(w, "dpmpp_2m_sde_");
    walk_all(w, "heun", even_logs(0.03, 100), 4, 0, NULL);
    out_walk(w, "k_heun_");
    /* Even angles without 0; the result is the last estimate. */
    double angles[7];
    for (int i = 0; i <= 6; i++) angles[i] = (1 - i / 6.0) * M_PI / 2;
    levels l = levels_of_times(PROCESS_ROTATING, angles, 6);
    l.sigmas[6] = 0;
    w->options.eta = 0;
    walk_all(w, "ddim", l, 4, 0, NULL);
    out_walk(w, "v_ddim_");
}

/* --- native: flow --- */

static levels flow_levels(const double *times) { return levels_of_times(PROCESS_STRAIGHT, times, 6); }

static void run_flow(walked *w) {
    run_usual(w);
    w->clean = encoded(w, "init_audio", 0);
    w->levels = w->m->latent->levels(w->m, 6, 0.6);
    follow(w, "vary_denoised");
    walk_all(w, w->m->sampler, w->levels, 1, 0, NULL);
    out_sigmas(w, "vary_sigmas");
    out_walk(w, "vary_");
    w->clean = w->denoised = NULL;
    const levels whole = flow_levels(times_log_snr(1, 6));
    walk_all(w, "euler", whole, 3, 0, "negative_prompts");
    out_walk(w, "euler_");
    walk_all(w, "dpmpp-2m", whole, 3, 0.5, NULL);
    out_walk(w, "dpmpp_");
    const time_shift none = {.kind = SHIFT_NONE};
    walk_all(w, "rk4", flow_levels(times_shifted(&none, 1, 6, 1)), 1, 0, NULL);
    out_walk(w, "rk4_");
}

/* --- diffusers --- */

/* States as the scheduler has them: sigma added, not mixed in. */
static void run_pipeline_walk(walked *w, const char *prefix, double guidance_scale, const char *negatives) {
    enum { STEPS = 6 };
    parity_case *c = w->c;
    w->trace = parity_has_out(c, format("%strace", prefix)) ? tensor_zero(F32, SHAPE(STEPS, w->B, w->N, w->L)) : NULL;
    const levels l = even_logs(0.3, 500);
    w->first_scale = sqrt(l.sigmas[0] * l.sigmas[0] + 1);
    walk_all(w, w->m->sampler, l, guidance_scale, 0, negatives);
    parity_walked(c, format("%slatents", prefix), as_published(w->latents));
    if (w->trace) parity_walked(c, format("%strace", prefix), as_published(w->trace));
    const int64_t begin = (int64_t) (number_of(c, "audio_start_in_s", 0) * w->m->rate),
                  end = (int64_t) (number_of(c, "audio_end_in_s", 0) * w->m->rate);
    parity_out(c, format("%saudio", prefix), sound_of(w, to_decode(w, prefix), begin, end - begin));
}

static void out_network(walked *w) {
    parity_case *c = w->c;
    const tensor *x = swap_last_two(parity_in_f32(c, "x"));
    tensor *y = tensor_new(F32, shape_of(x));
    const float t = f32(parity_in_f32(c, "t"))[0];
    for (int64_t i = 0; i < w->B; i++) {
        ask(w, i, NULL);
        const stable_inputs k = stable_inputs_of(w->m, w->asked, 0);
        const stable_dit_condition d = {stable_dit_attend_to(w->net->dit, k.tokens), k.vector, NULL, NULL};
        const tensor *one = tensor_wrap(F32, SHAPE(1, w->N, w->L), f32(x) + i * w->N * w->L);
        memcpy(f32(y) + i * w->N * w->L, stable_dit_forward(w->net->dit, one, &t, &d)->data, tensor_bytes(one));
    }
    parity_out(c, "network", as_published(y));
}

static void run_pipeline(walked *w) {
    parity_case *c = w->c;
    const levels l = even_logs(0.3, 500);
    tensor *sigmas = tensor_new(F32, SHAPE(7)), *times = tensor_new(F32, SHAPE(6));
    for (int i = 0; i <= 6; i++) f32(sigmas)[i] = (float) l.sigmas[i];
    for (int i = 0; i < 6; i++) f32(times)[i] = (float) (atan(l.sigmas[i]) * 2 / M_PI);
    parity_out(c, "sigmas", sigmas);
    parity_out(c, "timesteps", times);
    out_network(w);
    run_pipeline_walk(w, "", w->m->latent->guidance, NULL);
    run_pipeline_walk(w, "negative_", 4, "negative_prompts");
    w->trace = NULL;
    w->levels = l;
    w->sampler = w->m->sampler;
    w->request.guidance = 1;
    for (int64_t i = 0; i < w->B; i++) { /* each row has its own sound */
        w->clean = encoded(w, "init_audio", i);
        ask(w, i, NULL);
        walk_row(w, i);
    }
    parity_walked(c, "vary_latents", as_published(w->latents));
    parity_out(c, "vary_audio",
               sound_of(w, to_decode(w, "vary_"), 0, (int64_t) (number_of(c, "audio_end_in_s", 0) * w->m->rate)));
}

void run_whole_model(parity_case *c) {
    walked w = open_whole(c);
    out_ids(&w);
    out_conditions(&w);
    if (w.net->files.diffusers) run_pipeline(&w);
    else if (w.net->process == PROCESS_ROTATING) run_v(&w);
    else run_flow(&w);
}

/* --- networks that are shown what is kept --- */

/* Where the sample of a latent that counts is kept. */
static const float *kept_of(walked *w, int64_t row) {
    const tensor *mask = parity_in_f32(w->c, "inpaint_mask");
    const int64_t T = mask->shape[1];
    float *keep = NEW_ARRAY(float, w->N);
    for (int64_t i = 0; i < w->N; i++) keep[i] = f32(mask)[row * T + i * T / w->N];
    return keep;
}

void run_inpainting_model(parity_case *c) {
    walked w = open_whole(c);
    w.levels = w.m->latent->levels(w.m, 6, 1);
    w.sampler = "euler";
    w.request.guidance = 3;
    follow(&w, "denoised");
    for (int64_t i = 0; i < w.B; i++) {
        ask(&w, i, NULL);
        w.m->latent->keep(w.asked, encoded(&w, "inpaint_audio", i), kept_of(&w, i));
        walk_row(&w, i);
    }
    out_sigmas(&w, "sigmas");
    out_walk(&w, "");
    w.denoised = NULL;
    walk_all(&w, "euler", w.levels, 3, 0, NULL);
    out_walk(&w, "free_");
}

/* --- a user's sound --- */

void run_prepare_audio(parity_case *c) {
    static const struct {
        const char *name;
        int rate, channels;
        int64_t samples;
    } ROWS[] = {{"mono_up", 22050, 2, 7000},
                {"stereo_down", 48000, 2, 2000},
                {"same_rate", 44100, 1, 2300},
                {"odd_ratio", 16000, 2, 8300}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const tensor *x = parity_in_f32(c, ROWS[i].name);
        const int64_t C = x->shape[0], T = x->shape[1];
        audio *a = audio_new(T, (int) C, ROWS[i].rate);
        for (int64_t k = 0; k < T * C; k++) a->samples[k] = f32(x)[k % C * T + k / C];
        const audio *y = audio_fit(a, 44100, ROWS[i].samples, ROWS[i].channels);
        tensor *out = tensor_new(F32, SHAPE(1, y->frames, y->channels));
        memcpy(out->data, y->samples, tensor_bytes(out));
        parity_out(c, ROWS[i].name, swap_last_two(out));
    }
}
