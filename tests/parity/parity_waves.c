/* Cases of DiffWave and WaveGrad: networks, sampling, checkpoints, mel front ends. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "models/diffwave.h"
#include "models/wavegrad.h"
#include "parity.h"
#include "systems/rows.h"
#include "systems/sample.h"

static model *open_model(parity_case *c) {
    return model_from(parity_path(c, ""), parity_checkpoint(c), parity_config(c));
}

/* [B, M, F] of the originals -> [B, F, M]; NULL if the case has none. */
static tensor *mel_in(parity_case *c) {
    return parity_has_in(c, "mel") ? swap_last_two(parity_in_f32(c, "mel")) : NULL;
}

/* Elements 0, s, 2 s, ... of the flattened tensor, where the case holds so many; all of them otherwise. */
static void out_thinned(parity_case *c, const char *name, const tensor *whole) {
    int64_t n = count(whole), kept = count(parity_expected(c, name)), stride = 1;
    if (kept < n)
        for (stride = 2; (n + stride - 1) / stride > kept;) stride++;
    tensor *part = tensor_new(F32, SHAPE((n + stride - 1) / stride));
    for (int64_t i = 0; i < part->shape[0]; i++) f32(part)[i] = f32(whole)[i * stride];
    parity_out(c, name, part);
}

/* --- DiffWave --- */

/* The upsampled mel, [B, T, M] here, [B, M, T] there; large ones only every 9th mel and 7th sample. */
static void out_upsampled(parity_case *c, const tensor *up) {
    const tensor *all = swap_last_two(up), *expected = parity_expected(c, "upsampled");
    int64_t B = all->shape[0], M = all->shape[1], T = all->shape[2];
    int64_t mels = expected->shape[1], samples = expected->shape[2], sm = 1, st = 1;
    while ((M + sm - 1) / sm > mels) sm++;
    while ((T + st - 1) / st > samples) st++;
    tensor *part = tensor_new(F32, SHAPE(B, mels, samples));
    for (int64_t b = 0; b < B; b++)
        for (int64_t m = 0; m < mels; m++)
            for (int64_t t = 0; t < samples; t++)
                f32(part)[(b * mels + m) * samples + t] = f32(all)[(b * M + m * sm) * T + t * st];
    parity_out(c, "upsampled", part);
}

/* Steps of the case, one for each item (one for all is repeated). */
static float *steps_in(parity_case *c, const char *name, int64_t batch, int64_t *n) {
    tensor *given = parity_in_f32(c, name);
    float *steps = NEW_ARRAY(float, batch);
    *n = count(given);
    for (int64_t b = 0; b < batch; b++) steps[b] = f32(given)[*n == 1 ? 0 : b];
    return steps;
}

static void diffwave_network(parity_case *c) {
    model *m = open_model(c);
    const diffwave *net = m->network;
    tensor *audio = parity_in_f32(c, "audio"), *mel = mel_in(c);
    static const char *const KINDS[] = {"int", "frac"};
    for (int k = 0; k < 2; k++) {
        int64_t n;
        float *step = steps_in(c, format("step_%s", KINDS[k]), audio->shape[0], &n);
        if (parity_has_out(c, format("embedding_%s", KINDS[k])))
            parity_out(c, format("embedding_%s", KINDS[k]), diffwave_embed(net, step, n));
        parity_out(c, format("eps_%s", KINDS[k]), diffwave_forward(net, audio, step, mel, NULL));
    }
    if (parity_has_out(c, "upsampled")) out_upsampled(c, diffwave_upsample(net, mel, F32));
    if (parity_has_out(c, "table")) parity_out(c, "table", diffwave_table(diffwave_sizes(net)->steps));
}

/* --- WaveGrad --- */

/* A stage's output, channels first there. */
static void out_stage(parity_case *c, const char *name, int i, const tensor *t) {
    char *full = format("%s%d", name, i);
    if (parity_has_out(c, full)) out_thinned(c, full, swap_last_two(tensor_to_f32(t)));
}

static void wavegrad_network(parity_case *c) {
    model *m = open_model(c);
    wavegrad_trace trace;
    tensor *level = parity_in_f32(c, "noise_level");
    tensor *eps = wavegrad_forward(m->network, parity_in_f32(c, "audio"), mel_in(c), f32(level), &trace);
    parity_out(c, "eps", eps);
    if (parity_has_out(c, "encoding")) parity_out(c, "encoding", trace.encoding);
    for (int i = 0; i < WAVEGRAD_STAGES; i++) {
        out_stage(c, "down", i, trace.down[i]);
        out_stage(c, "film", i, trace.film[i]);
        out_stage(c, "up", i, trace.up[i]);
    }
}

/* --- sampling --- */

typedef struct {
    parity_case *c;
    const model *m;
    const tensor *noise; /* [steps, B, T] */
    int64_t drawn;
    tensor *levels, *states;
    int64_t every, kept;
} run;

static void given_noise(void *context, float *z, int64_t n) {
    run *r = context;
    require(r->drawn < r->noise->shape[0] && n == count(r->noise) / r->noise->shape[0]);
    memcpy(z, f32(r->noise) + n * r->drawn++, (size_t) n * sizeof(float));
}

static void watch(void *context, int64_t pass, double alpha_bar, const tensor *x) {
    run *r = context;
    f32(r->levels)[pass] = r->m->system->noise_is_level ? (float) sqrt(alpha_bar) : diffwave_step(r->m, alpha_bar);
    if (pass % r->every == 0 && r->kept < r->states->shape[0])
        memcpy(f32(r->states) + count(x) * r->kept++, x->data, tensor_bytes(x));
}

/* The schedule of the case: the model's own, the full one, or the one given. */
static levels schedule_of(parity_case *c, const model *m, int64_t steps) {
    config inputs = config_get(parity_info(c), "inputs");
    if (config_has(inputs, "noise_schedule")) {
        size_t n;
        double *betas = config_numbers(config_get(inputs, "noise_schedule"), "value", 100000, &n);
        return levels_of_betas(betas, n);
    }
    return levels_of_betas(steps == (int64_t) m->fast_count ? m->fast : m->betas, (size_t) steps);
}

static void sampling(parity_case *c) {
    model *m = open_model(c);
    run r = {.c = c, .m = m, .noise = parity_in_f32(c, "noise")};
    int64_t steps = r.noise->shape[0];
    const char *levels = m->system->noise_is_level ? "noise_levels" : "steps";
    r.states = tensor_new(F32, shape_of(parity_expected(c, "states")));
    r.levels = tensor_new(F32, SHAPE(steps));
    r.every = (steps + r.states->shape[0] - 1) / r.states->shape[0];
    condition guided = {.m = m, .mel = mel_in(c), .guidance = 1};
    tensor *x = tensor_new(F32, SHAPE(r.noise->shape[1], r.noise->shape[2]));
    given_noise(&r, f32(x), count(x));
    sample_walk(&guided, &(sample_plan){"paper", schedule_of(c, m, steps), -1, {given_noise, &r}, watch, &r}, x);
    parity_out(c, levels, r.levels);
    parity_out(c, "states", r.states);
    parity_out(c, "audio", x);
}

/* --- checkpoints --- */

static void compare_number(parity_case *c, const char *key, double got) {
    if (config_has(parity_info(c), key))
        parity_figure(c, key, fabs(got - config_number(parity_info(c), key, 0, -1e9, 1e9)), 0);
}

/* Moment `which` of the parameter that the case's words name: "... of parameter 44, NAME". */
static void out_moment(parity_case *c, const store *all, const char *out, const char *which) {
    if (!parity_has_out(c, out)) return;
    config output = config_get(config_get(parity_info(c), "outputs"), out);
    const char *about = config_need_string(output, "about"), *at = strstr(about, "parameter ");
    require(at);
    parity_out(c, out, store_read(all, format("optimizer.state.%d.%s", atoi(at + 10), which)));
}

static void checkpoint(parity_case *c) {
    model *m = open_model(c);
    tensor *audio = parity_in_f32(c, "audio"), *mel = mel_in(c), *eps;
    if (m->system->noise_is_level)
        eps = wavegrad_forward(m->network, audio, mel, f32(parity_in_f32(c, "noise_level")), NULL);
    else eps = diffwave_forward(m->network, audio, f32(parity_in_f32(c, "step")), mel, NULL);
    parity_out(c, "eps", eps);
    store *all = store_open_all(parity_path(c, config_need_string(parity_info(c), "checkpoint")));
    out_moment(c, all, "exp_avg_a", "exp_avg");
    out_moment(c, all, "exp_avg_sq_b", "exp_avg_sq");
    config said = store_metadata(all);
    compare_number(c, "expected_step", config_number(said, "step", -1, -1e9, 1e9));
    if (!config_has(parity_info(c), "expected_lr")) return;
    config group = config_at(config_get(config_get(said, "optimizer"), "param_groups"), 0);
    compare_number(c, "expected_lr", config_number(group, "lr", -1, 0, 1e9));
}

/* --- mel --- */

static void mel(parity_case *c) {
    const char *system = config_need_string(parity_info(c), "system");
    mel_front f = mel_front_named(system);
    config inputs = config_get(config_get(parity_info(c), "inputs"), "audio");
    audio *sound;
    if (config_has(inputs, "value"))
        sound = audio_read(parity_path(c, format("../../audio/%s", config_need_string(inputs, "value"))));
    else {
        tensor *given = parity_in_f32(c, "audio");
        sound = audio_new(count(given), 1, f.rate);
        memcpy(sound->samples, given->data, tensor_bytes(given));
    }
    tensor *m = mel_compute(&f, sound->samples, sound->frames); /* [F, M] */
    parity_out(c, "mel", swap_last_two(tensor_wrap(F32, SHAPE(1, m->shape[0], m->shape[1]), m->data)));
}

const parity_row PARITY_WAVES[] = {
    {"diffwave", "network", diffwave_network},
    {"wavegrad", "network", wavegrad_network},
    {"diffwave", "sampling", sampling},
    {"wavegrad", "sampling", sampling},
    {"diffwave", "checkpoint", checkpoint},
    {"wavegrad", "checkpoint", checkpoint},
    {"diffwave", "mel", mel},
    {"wavegrad", "mel", mel},
    {0},
};
