/* Parity of conversions between predictions, weights, draws, and losses. */
#include "parity_objectives.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "diffusion/betas.h"
#include "diffusion/draws.h"
#include "diffusion/losses.h"
#include "diffusion/schedule.h"
#include "diffusion/shift.h"
#include "diffusion/weights.h"
#include "parity_consistency.h"
#include "parity_mixture.h"

static double *vp_bars(void) {
    return alpha_bars_of(betas_make(beta_schedule_find("scaled-linear"), 1000, 0.00085, 0.012), 1000);
}

/* --- conversions --- */

static const objective OF[] = {PREDICT_CLEAN, PREDICT_NOISE, PREDICT_V, PREDICT_FLOW};
static const char *const NAMES[] = {"x0", "eps", "v", "flow"};

static tensor *point_of(const tensor *t, int64_t p) { return tensor_wrap(F32, SHAPE(1, D), f32(t) + p * D); }

/* Points each at their own mixing. */
static void convert(parity_case *c, const char *process, const mixing *at, objective trained) {
    tensor *x0 = parity_in_f32(c, "x0"), *noise = parity_in_f32(c, "noise"), *y = parity_in_f32(c, "prediction");
    int64_t n = x0->shape[0];
    tensor *state = tensor_new(F32, SHAPE(n, D)), *target = tensor_new(F32, SHAPE(n, D));
    tensor *stored = tensor_to_f32(parity_expected(c, format("%s.x_t", process)));
    for (int64_t p = 0; p < n; p++) {
        tensor *clean = point_of(x0, p), *z = point_of(noise, p);
        memcpy(f32(state) + p * D, mix(at[p], clean, z)->data, D * sizeof(float));
        memcpy(f32(target) + p * D, target_of(trained, at[p], clean, z)->data, D * sizeof(float));
    }
    parity_out(c, format("%s.x_t", process), state);
    if (trained == PREDICT_V || trained == PREDICT_FLOW)
        parity_out(c, format("%s.%s", process, objective_name(trained)), target);
    for (int from = 0; from < 4; from++) {
        tensor *all = tensor_new(F32, SHAPE(4, n, D));
        for (int64_t p = 0; p < n; p++) {
            estimate e = estimate_of(OF[from], at[p], point_of(stored, p), point_of(y, p));
            for (int to = 0; to < 4; to++)
                memcpy(f32(all) + (to * n + p) * D, prediction_of(OF[to], at[p], e)->data, D * sizeof(float));
        }
        parity_out(c, format("%s.from_%s", process, NAMES[from]), all);
    }
}

/* The raw network's target and input within scalings. */
static void scaled_targets(parity_case *c, const double *sigma, const char *target, const char *input,
                           scalings (*at)(double sigma, double data), double data) {
    tensor *x0 = parity_in_f32(c, "x0"), *noise = parity_in_f32(c, "noise");
    int64_t n = x0->shape[0];
    tensor *F = tensor_new(F32, SHAPE(n, D)), *in = tensor_new(F32, SHAPE(n, D));
    for (int64_t i = 0; i < n * D; i++) {
        scalings s = at(sigma[i / D], data);
        double x = (double) f32(x0)[i] + sigma[i / D] * (double) f32(noise)[i];
        f32(F)[i] = (float) (((double) f32(x0)[i] - s.skip * x) / s.out);
        f32(in)[i] = (float) (s.in * x);
    }
    parity_out(c, target, F);
    parity_out(c, input, in);
}

static scalings around_v(double sigma, double data) {
    (void) data;
    return scalings_v(sigma);
}

static void run_conversions(parity_case *c) {
    double *bars = vp_bars(), *t = numbers_of(parity_in(c, "t")), *steps = numbers_of(parity_in(c, "t_int")),
           *sigma = numbers_of(parity_in(c, "sigma"));
    int64_t n = count(parity_in(c, "t"));
    mixing *at[4];
    for (int k = 0; k < 4; k++) at[k] = NEW_ARRAY(mixing, n);
    for (int64_t i = 0; i < n; i++) {
        double bar = bars[(size_t) steps[i]];
        at[0][i] = (mixing){sqrt(bar), sqrt(1 - bar)};
        at[1][i] = (mixing){cos(t[i] * M_PI / 2), sin(t[i] * M_PI / 2)};
        at[2][i] = (mixing){1 - t[i], t[i]};
        at[3][i] = (mixing){1, sigma[i]};
    }
    static const char *const PROCESSES[] = {"vp", "v", "flow", "ve"};
    static const objective TRAINED[] = {PREDICT_V, PREDICT_V, PREDICT_FLOW, PREDICT_CLEAN};
    for (int k = 0; k < 4; k++) convert(c, PROCESSES[k], at[k], TRAINED[k]);
    scaled_targets(c, sigma, "ve.v_denoiser_target", "ve.v_denoiser_input", around_v, 1);
    scaled_targets(c, sigma, "ve.edm_target_sd0.5", "ve.edm_input_sd0.5", scalings_edm, 0.5);
    tensor *data = parity_in_f32(c, "ot.data"), *noise = parity_in_f32(c, "ot.noise");
    tensor *order = tensor_new(I64, SHAPE(data->shape[0]));
    couple_noise(data, noise, order->data);
    parity_out(c, "ot.permutation", order);
}

/* --- weights --- */

static void run_weights(parity_case *c) {
    double *bars = vp_bars(), *t = numbers_of(parity_in(c, "t")), *sigma = numbers_of(parity_in(c, "sigma")),
           *u = numbers_of(parity_in(c, "u"));
    size_t nt = (size_t) count(parity_in(c, "t")), ns = (size_t) count(parity_in(c, "sigma")),
           nu = (size_t) count(parity_in(c, "u"));
    double *out[5];
    for (int k = 0; k < 5; k++) out[k] = NEW_ARRAY(double, 3 * (nt + ns + nu));
    for (size_t i = 0; i < nt; i++) {
        double snr = 1 / pow(vp_sigma(bars[(size_t) t[i]]), 2);
        double all[] = {snr, weight_min_snr(snr, 5, PREDICT_NOISE), weight_min_snr(snr, 5, PREDICT_V),
                        weight_min_snr(snr, 5, PREDICT_CLEAN), weight_p2(snr, 1, 1)};
        for (int k = 0; k < 5; k++) out[k][i] = all[k];
    }
    static const char *const VP[] = {"vp.snr", "vp.min_snr_eps", "vp.min_snr_v", "vp.min_snr_x0", "vp.p2"};
    for (int k = 0; k < 5; k++) compare_numbers(c, VP[k], out[k], nt);
    for (size_t i = 0; i < nu; i++) out[0][i] = weight_flow_inverse(u[i]), out[1][i] = weight_flow_cosine(u[i]);
    compare_numbers(c, "flow.sigma_sqrt", out[0], nu);
    compare_numbers(c, "flow.cosmap", out[1], nu);
    for (int d = 0; d < 2; d++) {
        const char *word = d ? "1.0" : "0.5";
        double data = d ? 1 : 0.5;
        for (size_t i = 0; i < ns; i++) {
            scalings edm = scalings_edm(sigma[i], data), cm = scalings_consistency(sigma[i], 0.002, data);
            out[0][i] = edm.skip, out[0][ns + i] = edm.out, out[0][2 * ns + i] = edm.in;
            out[1][i] = cm.skip, out[1][ns + i] = cm.out;
            out[2][i] = weight_edm(sigma[i], data);
            out[3][i] = weight_soft_min_snr(sigma[i], data);
            out[4][i] = weight_snr(sigma[i], data);
        }
        compare_numbers(c, format("edm%s.scalings", word), out[0], 3 * ns);
        compare_numbers(c, format("cm%s.boundary", word), out[1], 2 * ns);
        compare_numbers(c, format("edm%s.weight", word), out[2], ns);
        compare_numbers(c, format("k%s.soft_min_snr", word), out[3], ns);
        compare_numbers(c, format("k%s.snr", word), out[4], ns);
    }
    for (size_t i = 0; i < ns; i++) {
        scalings v = scalings_v(sigma[i]);
        out[0][i] = v.skip, out[0][ns + i] = v.out, out[0][2 * ns + i] = v.in;
        out[1][i] = log(sigma[i]) / 4;
        out[2][i] = 250 * log(sigma[i]);
    }
    compare_numbers(c, "v_denoiser.scalings", out[0], 3 * ns);
    compare_numbers(c, "edm.c_noise", out[1], ns);
    compare_numbers(c, "cm.timestep", out[2], ns);
    for (size_t i = 0; i < nt; i++) {
        scalings lcm = scalings_lcm(t[i], 10, 0.5);
        out[0][i] = lcm.skip, out[0][nt + i] = lcm.out;
    }
    compare_numbers(c, "lcm.boundary", out[0], 2 * nt);
}

/* --- draws --- */

typedef struct {
    double u, z;
} drawn;

#define DRAW(name, expression)                                                                                         \
    static double name(drawn d) { return expression; }
DRAW(logit_normal, draw_logit_normal(d.z, 0, 1))
DRAW(trunc_logit_normal, 1 - draw_truncated_logit_normal(d.z, 0.075))
DRAW(trunc_logit_normal_raw, draw_truncated_logit_normal(d.z, 0.2))
DRAW(log_snr, draw_log_snr(d.z, -1.2, 2))
DRAW(log_snr_2, draw_log_snr(d.z, 0.5, 1))
DRAW(log_snr_uniform, draw_log_snr_uniform(d.u, -6, 5))
DRAW(log_snr_uniform_2, draw_log_snr_uniform(d.u, -4, 3))
DRAW(sd3_mode, draw_mode(d.u, 1.29))
DRAW(flux_shift, shift_odds(d.u, 2.95))
DRAW(k_log_normal, draw_log_normal(normal_quantile(d.u *(1 - 2e-7) + 1e-7), -1.2, 1.2))
DRAW(k_log_logistic, draw_log_logistic(d.u, 0, 0.5, 0.01, 80))
DRAW(k_log_uniform, draw_log_uniform(d.u, 0.01, 80))
DRAW(k_v_diffusion, draw_v(d.u, 1, 0, INFINITY))
DRAW(k_v_diffusion_2, draw_v(d.u, 0.5, 0.01, 100))
DRAW(k_cosine_interpolated, draw_cosine_interpolated(d.u, 64, 16, 64, 1e-3, 1e3))
DRAW(k_split_log_normal, draw_split_log_normal(d.z, d.u, -0.8, 0.9, 1.4))
DRAW(edm_log_normal, draw_log_normal(d.z, -1.2, 1.2))
DRAW(scm_angle, atan(draw_log_normal(d.z, -0.4, 1.4) / 0.5))

static const struct {
    const char *name;
    double (*draw)(drawn d);
} DRAWS[] = {{"logit_normal", logit_normal},
             {"trunc_logit_normal", trunc_logit_normal},
             {"trunc_logit_normal_raw", trunc_logit_normal_raw},
             {"log_snr", log_snr},
             {"log_snr_2", log_snr_2},
             {"log_snr_uniform", log_snr_uniform},
             {"log_snr_uniform_2", log_snr_uniform_2},
             {"sd3_logit_normal", logit_normal},
             {"sd3_mode", sd3_mode},
             {"flux_shift", flux_shift},
             {"k_log_normal", k_log_normal},
             {"k_log_logistic", k_log_logistic},
             {"k_log_uniform", k_log_uniform},
             {"k_v_diffusion", k_v_diffusion},
             {"k_v_diffusion_2", k_v_diffusion_2},
             {"k_cosine_interpolated", k_cosine_interpolated},
             {"k_split_log_normal", k_split_log_normal},
             {"edm_log_normal", edm_log_normal},
             {"scm_angle", scm_angle}};

static void run_draws(parity_case *c) {
    double *u = numbers_of(parity_in(c, "u")), *z = numbers_of(parity_in(c, "z")), *s = numbers_of(parity_in(c, "s"));
    size_t n = (size_t) count(parity_in(c, "u"));
    double *out = NEW_ARRAY(double, n);
    for (size_t k = 0; k < sizeof DRAWS / sizeof *DRAWS; k++) {
        for (size_t i = 0; i < n; i++) out[i] = DRAWS[k].draw((drawn){u[i], z[i]});
        compare_numbers(c, DRAWS[k].name, out, n);
    }
    double *bars = alpha_bars_of(betas_make(beta_schedule_find("linear"), 1000, 1e-6, 0.01), 1000);
    for (size_t i = 0; i < n; i++) out[i] = draw_between(bars, (size_t) s[i], u[i]);
    compare_numbers(c, "wavegrad_level", out, n);
}

void run_objective(parity_case *c) {
    if (parity_has_in(c, "prediction")) run_conversions(c);
    else if (parity_has_in(c, "z")) run_draws(c);
    else run_weights(c);
}

/* --- losses --- */

static void compare_loss(parity_case *c, const char *name, loss l) {
    compare_numbers(c, format("%s.loss", name), &l.value, 1);
    tensor *gradient = l.gradient;
    parity_out(c, format("%s.grad", name), gradient->rank == 3 ? swap_last_two(gradient) : gradient);
}

/* k-diffusion's: pred is the raw output within scalings. */
static void run_k_losses(parity_case *c, const tensor *pred, double data) {
    tensor *x0 = swap_last_two(parity_in_f32(c, "x0")), *noise = swap_last_two(parity_in_f32(c, "noise"));
    double *sigma = numbers_of(parity_in(c, "sigma")), weight[2][8];
    int64_t B = pred->shape[0], n = count(pred) / B;
    tensor *target = tensor_new(F32, shape_of(pred)), *v = tensor_new(F32, shape_of(pred));
    for (int64_t i = 0; i < B * n; i++) {
        scalings s = scalings_edm(sigma[i / n], data), around = scalings_v(sigma[i / n]);
        double clean = (double) f32(x0)[i], x = clean + sigma[i / n] * (double) f32(noise)[i];
        f32(target)[i] = (float) ((clean - s.skip * x) / s.out);
        f32(v)[i] = (float) ((clean - around.skip * x) / around.out);
    }
    for (int64_t b = 0; b < B && b < 8; b++) {
        weight[0][b] = weight_soft_min_snr(sigma[b], data);
        weight[1][b] = weight_snr(sigma[b], data);
    }
    compare_loss(c, "k_denoiser_karras", loss_weighted(PENALTY_SQUARE, 0, pred, target, weights_even(pred, NULL)));
    double *soft = weights_even(pred, weight[0]), *snr = weights_even(pred, weight[1]);
    compare_loss(c, "k_denoiser_soft-min-snr", loss_weighted(PENALTY_SQUARE, 0, pred, target, soft));
    compare_loss(c, "k_denoiser_snr", loss_weighted(PENALTY_SQUARE, 0, pred, target, snr));
    compare_loss(c, "k_simple", loss_weighted(PENALTY_SQUARE, 0, pred, target, snr)); /* the error of the noise */
    compare_loss(c, "k_v_denoiser", loss_weighted(PENALTY_SQUARE, 0, pred, v, weights_even(pred, NULL)));
}

static void run_plain_losses(parity_case *c) {
    tensor *pred = swap_last_two(parity_in_f32(c, "pred")), *target = swap_last_two(parity_in_f32(c, "target")),
           *mask = parity_in_f32(c, "mask");
    double *each = numbers_of(parity_in(c, "weight")), *even = weights_even(pred, NULL);
    compare_loss(c, "mse", loss_weighted(PENALTY_SQUARE, 0, pred, target, even));
    compare_loss(c, "sat_mse", loss_weighted(PENALTY_SQUARE, 0, pred, target, even));
    compare_loss(c, "l1", loss_weighted(PENALTY_ABSOLUTE, 0, pred, target, even));
    compare_loss(c, "huber_0.5", loss_weighted(PENALTY_HUBER, 0.5, pred, target, even));
    compare_loss(c, "pseudo_huber_element_0.001", loss_weighted(PENALTY_PSEUDO_HUBER, 0.001, pred, target, even));
    compare_loss(c, "weighted_mse", loss_weighted(PENALTY_SQUARE, 0, pred, target, weights_even(pred, each)));
    compare_loss(c, "sat_mse_masked", loss_weighted(PENALTY_SQUARE, 0, pred, target, weights_counted(pred, mask)));
    double c_of = pseudo_huber_c(count(pred) / pred->shape[0]);
    compare_loss(c, "pseudo_huber_sample", loss_of_norms(c_of, pred, target, NULL));
    static const char *const OVER[] = {"none", "timestep", "sample", "sample_channel"};
    for (int over = 0; over < 4; over++)
        for (int padded = 0; padded < 2; padded++) {
            double *w = weights_by_variance(target, mask, (variance_of) over, padded ? 0.25 : 0);
            compare_loss(c, format("sa3_%s_%s", OVER[over], padded ? "weight" : "attention"),
                         loss_weighted(PENALTY_SQUARE, 0, pred, target, w));
        }
    run_k_losses(c, pred, 0.5);
}

void run_losses(parity_case *c) {
    if (parity_has_in(c, "pred")) run_plain_losses(c);
    else run_consistency(c);
}
