/* Parity of consistency training, distillation and sCM. Points [B, D]. */
#include "parity_consistency.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/betas.h"
#include "diffusion/consistency.h"
#include "diffusion/draws.h"
#include "diffusion/sampler.h"
#include "diffusion/schedule.h"
#include "diffusion/shift.h"
#include "diffusion/weights.h"
#include "parity_mixture.h"

static tensor *point_of(const tensor *t, int64_t p) { return tensor_wrap(F32, SHAPE(1, D), f32(t) + p * D); }

static void put(tensor *all, int64_t p, const tensor *one) { memcpy(f32(all) + p * D, one->data, D * sizeof(float)); }

/* --- consistency training --- */

static void run_curricula(parity_case *c) {
    double *k = numbers_of(parity_in(c, "k"));
    size_t n = (size_t) count(parity_in(c, "k"));
    double *improved = NEW_ARRAY(double, n), *first = NEW_ARRAY(double, n), *decay = NEW_ARRAY(double, n);
    enum { K = 400000 };
    for (size_t i = 0; i < n; i++) {
        improved[i] = (double) curriculum_levels((int64_t) k[i], K, 10, 1280);
        first[i] = (double) curriculum_levels_first((int64_t) k[i], K, 2, 150);
        decay[i] = curriculum_decay((int64_t) first[i], 2, 0.9);
    }
    compare_numbers(c, "N_ict", improved, n);
    compare_numbers(c, "N_ct", first, n);
    compare_numbers(c, "mu_ct", decay, n);
    static const size_t LEVELS[] = {11, 21, 81};
    for (int l = 0; l < 3; l++) {
        size_t N = LEVELS[l];
        double *sigma = consistency_levels(N, 0.002, 80), *p = pair_shares(sigma, N, -1.1, 2);
        double *weight = NEW_ARRAY(double, N), *cdf = NEW_ARRAY(double, N), sum = 0;
        for (size_t i = 0; i + 1 < N; i++) weight[i] = 1 / (sigma[i + 1] - sigma[i]), cdf[i] = sum += p[i];
        compare_numbers(c, format("N%zu.sigma", N), sigma, N);
        compare_numbers(c, format("N%zu.p", N), p, N - 1);
        compare_numbers(c, format("N%zu.weight", N), weight, N - 1);
        compare_numbers(c, format("N%zu.cdf", N), cdf, N - 1);
    }
}

/* The paper's scalings, and those of diffusers' example. */
static scalings example_scalings(double sigma) {
    scalings s = scalings_edm(sigma, 0.5);
    s.out /= 0.5;
    return s;
}
static scalings paper_scalings(double sigma) { return scalings_consistency(sigma, 0.002, 0.5); }

static void run_pair(parity_case *c, const char *name, scalings (*at)(double sigma), bool by_norm) {
    tensor *x0 = parity_in_f32(c, "x0"), *noise = parity_in_f32(c, "noise"),
           *F[] = {parity_in_f32(c, "F_teacher"), parity_in_f32(c, "F_student")};
    double *index = numbers_of(parity_in(c, "i")), *sigma = consistency_levels(21, 0.002, 80), weight[64], out[64];
    int64_t B = x0->shape[0];
    tensor *f[2] = {tensor_new(F32, SHAPE(B, D)), tensor_new(F32, SHAPE(B, D))};
    for (int64_t b = 0; b < B; b++) {
        size_t i = (size_t) index[b];
        for (int k = 0; k < 2; k++) {
            scalings s = at(sigma[i + (size_t) k]);
            tensor *x = mix((mixing){1, sigma[i + (size_t) k]}, point_of(x0, b), point_of(noise, b));
            put(f[k], b, mix((mixing){s.skip, s.out}, x, point_of(F[k], b)));
            out[b] = s.out;
        }
        weight[b] = 1 / (sigma[i + 1] - sigma[i]);
    }
    loss l = by_norm ? loss_of_norms(pseudo_huber_c(D), f[1], f[0], weight)
                     : loss_weighted(PENALTY_PSEUDO_HUBER, pseudo_huber_c(D), f[1], f[0], weights_even(f[1], weight));
    for (int64_t i = 0; i < B * D; i++) f32(l.gradient)[i] *= (float) out[i / D];
    parity_out(c, format("%s.student", name), f[1]);
    parity_out(c, format("%s.teacher", name), f[0]);
    compare_numbers(c, format("%s.loss", name), &l.value, 1);
    parity_out(c, format("%s.grad", name), l.gradient);
}

/* --- distillation --- */

static estimate exact(void *context, const tensor *x, double sigma) {
    return mixture_estimate(x, (mixing){1, sigma}, context, 0);
}

/* One step of a sampler on the exact denoiser. */
static tensor *stepped(const char *name, const tensor *x, double from, double to) {
    tensor *state = scaled_by(x, 1);
    double levels[] = {from, to};
    sampling s = {.denoise = {exact, NULL}, .sigmas = levels, .steps = 1, .options.eta = -1};
    sampler_run(sampler_find(name), &s, state);
    return state;
}

static void run_steps(parity_case *c) {
    tensor *x = parity_in_f32(c, "cd.x");
    double *high = numbers_of(parity_in(c, "cd.sigma_hi")), *low = numbers_of(parity_in(c, "cd.sigma_lo"));
    static const char *const BY[] = {"euler", "heun"};
    for (int k = 0; k < 2; k++) {
        tensor *out = tensor_new(F32, shape_of(x));
        for (int64_t b = 0; b < x->shape[0]; b++) put(out, b, stepped(BY[k], point_of(x, b), high[b], low[b]));
        parity_out(c, format("cd.%s", BY[k]), out);
    }
}

typedef struct {
    parity_case *c;
    const char *name;
} named;

static tensor *in_of(named n, const char *what) { return parity_in_f32(n.c, format("%s.%s", n.name, what)); }
static void out_of(named n, const char *what, const tensor *t) { parity_out(n.c, format("%s.%s", n.name, what), t); }

static mixing vp_at(const double *bars, int64_t t) { return (mixing){sqrt(bars[t]), sqrt(1 - bars[t])}; }

static void run_lcm(parity_case *c, config one) {
    config o = config_get(one, "options");
    named n = {c, config_need_string(one, "name")};
    enum { T = 1000, EMBEDDING = 16 };
    double *bars = alpha_bars_of(betas_make(beta_schedule_find("scaled-linear"), T, 0.00085, 0.012), T);
    double *index = numbers_of(in_of(n, "index")), *u = numbers_of(in_of(n, "u"));
    tensor *latents = in_of(n, "latents"), *noise = in_of(n, "noise"), *student = in_of(n, "student"),
           *target = in_of(n, "target");
    int64_t B = latents->shape[0], every = T / config_need_int(o, "num_ddim_timesteps", 1, T);
    size_t many;
    double *weights = config_numbers(o, "cond_weights", COMPONENTS, &many), *w_out = NEW_ARRAY(double, B *EMBEDDING);
    objective of = !strcmp(config_need_string(o, "prediction_type"), "epsilon") ? PREDICT_NOISE : PREDICT_V;
    tensor *start = tensor_new(F32, SHAPE(B, D)), *before = tensor_new(F32, SHAPE(B, D)),
           *pred = tensor_new(F32, SHAPE(B, D)), *goal = tensor_new(F32, SHAPE(B, D));
    double *t_start = NEW_ARRAY(double, B), *t_end = NEW_ARRAY(double, B), slope[64];
    for (int64_t b = 0; b < B; b++) {
        int64_t from = ((int64_t) index[b] + 1) * every - 1, to = from - every > 0 ? from - every : 0;
        /* the step itself goes to the level before in the list of distilled ones, the first to 0 */
        int64_t step_to = (int64_t) index[b] > 0 ? from - every : 0;
        double w = 5 + u[b] * 10;
        mixing high = vp_at(bars, from), low = vp_at(bars, step_to), end = vp_at(bars, to);
        tensor *x = mix(high, point_of(latents, b), point_of(noise, b));
        estimate e = estimate_pushed(mixture_estimate(x, high, weights, 0), mixture_estimate(x, high, NULL, 0), w);
        tensor *prev = mix(low, e.clean, e.noise);
        scalings first = scalings_lcm((double) from, 10, 0.5), second = scalings_lcm((double) to, 10, 0.5);
        estimate own = estimate_of(of, high, x, point_of(student, b)),
                 other = estimate_of(of, end, prev, point_of(target, b));
        put(start, b, x);
        put(before, b, prev);
        put(pred, b, mix((mixing){first.skip, first.out}, x, own.clean));
        put(goal, b, mix((mixing){second.skip, second.out}, prev, other.clean));
        mixing y = objective_mixing(of, high);
        slope[b] = first.out * -high.b / (high.a * y.b - high.b * y.a); /* of x0 by the prediction */
        embed_guidance(w, EMBEDDING, w_out + b * EMBEDDING);
        t_start[b] = (double) from;
        t_end[b] = (double) to;
    }
    bool huber = !strcmp(config_need_string(o, "loss_type"), "huber");
    loss l = loss_weighted(huber ? PENALTY_PSEUDO_HUBER : PENALTY_SQUARE, config_number(o, "huber_c", 0, 0, 1), pred,
                           goal, weights_even(pred, NULL));
    for (int64_t i = 0; i < B * D; i++) f32(l.gradient)[i] *= (float) slope[i / D];
    compare_numbers(c, format("%s.t_start", n.name), t_start, (size_t) B);
    compare_numbers(c, format("%s.t", n.name), t_end, (size_t) B);
    out_of(n, "x_start", start);
    out_of(n, "x_prev", before);
    out_of(n, "model_pred", pred);
    out_of(n, "target_pred", goal);
    compare_numbers(c, format("%s.w_embedding", n.name), w_out, (size_t) (B * EMBEDDING));
    compare_numbers(c, format("%s.loss", n.name), &l.value, 1);
    out_of(n, "grad", l.gradient);
}

/* The teacher's state after some steps from noise. */
static tensor *walked(const tensor *noise, const double *times, int64_t steps) {
    if (steps == 0) return scaled_by(noise, 1);
    levels l = levels_of_times(PROCESS_STRAIGHT, times, steps);
    tensor *x = scaled_by(noise, NO_SIGNAL);
    sampling s = {.denoise = {exact, NULL}, .sigmas = l.sigmas, .steps = steps, .options.eta = -1};
    sampler_run(sampler_find("dpmpp-2m"), &s, x);
    return scaled_by(x, mixing_at(PROCESS_STRAIGHT, l.sigmas[steps]).a);
}

/* The teacher's whole trajectory, and the student's jump from one of its states. */
static void run_warm_up(parity_case *c) {
    enum { STEPS = 10 };
    tensor *x = parity_in_f32(c, "rf.x"), *student = parity_in_f32(c, "rf.student");
    double *ix = numbers_of(parity_in(c, "rf.ix")), *times = times_log_snr(1, STEPS), t[64];
    int64_t B = x->shape[0];
    tensor *target = tensor_new(F32, SHAPE(B, D)), *state = tensor_new(F32, SHAPE(B, D)),
           *clean = tensor_new(F32, SHAPE(B, D));
    for (int64_t b = 0; b < B; b++) {
        t[b] = times[(size_t) ix[b]];
        put(target, b, walked(point_of(x, b), times, STEPS));
        put(state, b, walked(point_of(x, b), times, (int64_t) ix[b]));
        put(clean, b, mix((mixing){1, -t[b]}, point_of(state, b), point_of(student, b)));
    }
    loss l = loss_weighted(PENALTY_SQUARE, 0, clean, target, weights_even(clean, NULL));
    for (int64_t i = 0; i < B * D; i++) f32(l.gradient)[i] *= (float) -t[i / D];
    parity_out(c, "rf.target", target);
    compare_numbers(c, "rf.t", t, (size_t) B);
    parity_out(c, "rf.x_t", state);
    parity_out(c, "rf.denoised", clean);
    compare_numbers(c, "rf.loss", &l.value, 1);
    parity_out(c, "rf.grad", l.gradient);
}

/* --- sCM --- */

static const double DATA = 0.5, STUDENT = 0.4;

/* F of the exact denoiser at x = cos t x0 + sin t z. */
static void scm_output(const double *x, double t, double std, double *F) {
    mixing at = {cos(t), sin(t) * DATA};
    double clean[D], noise[D];
    mixture_point(x, at, NULL, std, clean, noise);
    for (int k = 0; k < D; k++) F[k] = (cos(t) * DATA * noise[k] - sin(t) * clean[k]) / DATA;
}

/* Its derivative along the path times cos t sin t, by differences. */
static void scm_slope(const double *x, const double *path, double t, double *dF) {
    static const double H = 1e-5;
    double ends[2][D];
    for (int e = 0; e < 2; e++) {
        double h = (e ? -H : H) * cos(t) * sin(t), at[D];
        for (int k = 0; k < D; k++) at[k] = x[k] + h * path[k];
        scm_output(at, t + h, STUDENT, ends[e]);
    }
    for (int k = 0; k < D; k++) dF[k] = (ends[0][k] - ends[1][k]) / (2 * H);
}

enum { PARTS = 7 };
static const char *const SCM_OUT[PARTS] = {"x_t", "dx_dt", "F", "dF", "g", "grad", "f"};

static void run_scm(parity_case *c, bool distilled, double r) {
    const char *name = format("%s_r%.1f", distilled ? "distillation" : "training", r);
    double *x0 = numbers_of(parity_in(c, "x0")), *z = numbers_of(parity_in(c, "z")), *t = numbers_of(parity_in(c, "t")),
           *logvar = numbers_of(parity_in(c, "logvar"));
    int64_t B = count(parity_in(c, "t"));
    double *out[PARTS], sum = 0, plain = 0;
    for (int k = 0; k < PARTS; k++) out[k] = NEW_ARRAY(double, B *D);
    for (int64_t b = 0; b < B; b++) {
        double *at[PARTS], teacher[D], weight = scm_weight(t[b], DATA), all = (double) (B * D);
        for (int k = 0; k < PARTS; k++) at[k] = out[k] + b * D;
        for (int k = 0; k < D; k++) at[0][k] = cos(t[b]) * x0[b * D + k] + sin(t[b]) * z[b * D + k];
        scm_output(at[0], t[b], 0.25, teacher);
        for (int k = 0; k < D; k++)
            at[1][k] = distilled ? DATA * teacher[k] : cos(t[b]) * z[b * D + k] - sin(t[b]) * x0[b * D + k];
        scm_output(at[0], t[b], STUDENT, at[2]);
        scm_slope(at[0], at[1], t[b], at[3]);
        scm_tangent(t[b], DATA, r, at[0], at[2], at[1], at[3], D, at[4]);
        for (int k = 0; k < D; k++) {
            double share = weight / exp(logvar[b]);
            sum += (share * at[4][k] * at[4][k] + logvar[b]) / all;
            plain += weight * at[4][k] * at[4][k] / all;
            at[5][k] = -2 * share * at[4][k] / all;
            at[6][k] = cos(t[b]) * at[0][k] - sin(t[b]) * DATA * at[2][k];
        }
    }
    for (int k = 0; k < PARTS; k++) compare_numbers(c, format("%s.%s", name, SCM_OUT[k]), out[k], (size_t) (B * D));
    compare_numbers(c, format("%s.loss", name), &sum, 1);
    compare_numbers(c, format("%s.loss_no_logvar", name), &plain, 1);
}

/* Networks of other processes seen as TrigFlow's. */
static void run_other_processes(parity_case *c) {
    double *sigma = numbers_of(parity_in(c, "edm.sigma")), *t = numbers_of(parity_in(c, "t")), angle[64], time[64];
    tensor *x = parity_in_f32(c, "edm.x"), *x0 = parity_in_f32(c, "x0"), *z = parity_in_f32(c, "z"),
           *u = parity_in_f32(c, "flow.u");
    int64_t B = x->shape[0];
    tensor *trig = tensor_new(F32, SHAPE(B, D)), *flow = tensor_new(F32, SHAPE(B, D)),
           *F = tensor_new(F32, SHAPE(B, D));
    for (int64_t b = 0; b < B; b++) {
        angle[b] = time_of(PROCESS_ROTATING, sigma[b] / DATA);
        put(trig, b, scaled_by(point_of(x, b), cos(angle[b])));
        double level = sigma_at(PROCESS_ROTATING, t[b]);
        mixing straight = mixing_at(PROCESS_STRAIGHT, level), turned = mixing_at(PROCESS_ROTATING, level);
        time[b] = straight.b;
        tensor *state = scaled_by(mix((mixing){cos(t[b]), sin(t[b])}, point_of(x0, b), point_of(z, b)),
                                  straight.a / (DATA * turned.a));
        put(flow, b, state);
        put(F, b, prediction_of(PREDICT_V, turned, estimate_of(PREDICT_FLOW, straight, state, point_of(u, b))));
    }
    compare_numbers(c, "edm.angle", angle, (size_t) B);
    parity_out(c, "edm.x_trig", trig);
    compare_numbers(c, "flow.t", time, (size_t) B);
    parity_out(c, "flow.x", flow);
    parity_out(c, "flow.F", F);
}

void run_consistency(parity_case *c) {
    if (parity_has_in(c, "k")) {
        run_curricula(c);
        run_pair(c, "paper", paper_scalings, true);
        run_pair(c, "example", example_scalings, false);
    } else if (parity_has_in(c, "logvar")) {
        for (int distilled = 0; distilled < 2; distilled++)
            for (int r = 0; r < 3; r++) run_scm(c, distilled, r / 2.0);
        run_other_processes(c);
    } else {
        run_steps(c);
        config runs = config_get(parity_config(c), "runs");
        for (size_t i = 0; i < config_count(runs); i++) run_lcm(c, config_at(runs, i));
        run_warm_up(c);
    }
}
