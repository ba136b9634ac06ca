/* The table of schedules. */
#include "diffusion/schedule.h"

#include <math.h>
#include <string.h>

#include "base/scope.h"
#include "diffusion/betas.h"
#include "diffusion/shift.h"

double vp_sigma(double alpha_bar) { return sqrt((1 - alpha_bar) / alpha_bar); }
double vp_alpha_bar(double sigma) { return 1 / (1 + sigma * sigma); }

noise_law law_of_betas(const double *betas, size_t count, const double *own, size_t own_count) {
    double first = 1 - betas[0], last = alpha_bar_at(betas, count, 1);
    return (noise_law){vp_sigma(first), vp_sigma(last), PROCESS_ROTATING, betas, count, own, own_count};
}

static levels levels_new(int64_t steps) { return (levels){NEW_ARRAY(double, steps + 1), steps}; }

levels levels_of_betas(const double *betas, size_t count) {
    levels l = levels_new((int64_t) count);
    double bar = 1;
    for (size_t i = 0; i < count; i++) l.sigmas[count - 1 - i] = vp_sigma(bar *= 1 - betas[i]);
    return l;
}

/* --- by the steps of training --- */

static int64_t own_steps(const noise_law *law) {
    static const int64_t WITHOUT_A_LIST = 50;
    return law->own_count ? (int64_t) law->own_count : WITHOUT_A_LIST;
}

/* At equal distances in training, its last step included; without a table, in the time of its process. */
static levels linear(const noise_law *law, int64_t steps) {
    if (law->count && (steps == 0 || steps == (int64_t) law->count)) return levels_of_betas(law->betas, law->count);
    levels l = levels_new(steps ? steps : own_steps(law));
    for (int64_t i = 0; i < l.steps; i++) {
        double t = (double) (l.steps - i) / (double) l.steps;
        l.sigmas[i] = law->count ? vp_sigma(alpha_bar_at(law->betas, law->count, t))
                                 : sigma_at(law->process, t * time_of(law->process, law->most));
    }
    return l;
}

/* The short list the model comes with; for another number of steps its levels are interpolated in log-SNR. */
static levels paper(const noise_law *law, int64_t steps) {
    int64_t own = (int64_t) law->own_count;
    if (!own) return linear(law, steps);
    levels list = levels_of_betas(law->own, law->own_count);
    if (steps == 0 || steps == own) return list;
    if (steps == (int64_t) law->count) return levels_of_betas(law->betas, law->count);
    levels l = levels_new(steps);
    for (int64_t i = 0; i < steps; i++) {
        double at = steps > 1 ? (double) i * (double) (own - 1) / (double) (steps - 1) : 0;
        l.sigmas[i] = sigma_of_step(list.sigmas, law->own_count, at);
    }
    return l;
}

/* Nichol and Dhariwal 2021, arXiv 2102.09672, within the noise of training. */
static levels cosine(const noise_law *law, int64_t steps) {
    levels l = levels_new(steps ? steps : own_steps(law));
    double first = pow(cos(0.008 / 1.008 * M_PI / 2), 2);
    for (int64_t i = 0; i < l.steps; i++) {
        double t = (double) (l.steps - i) / (double) l.steps;
        double bar = pow(cos((t + 0.008) / 1.008 * M_PI / 2), 2) / first;
        l.sigmas[i] = fmin(vp_sigma(bar), law->most * (1 - 1e-9 * (double) i)); /* falling where it is cut off */
    }
    return l;
}

static levels by_spacing(const noise_law *law, int64_t steps, spacing kind) {
    if (!law->count) return linear(law, steps);
    levels l = levels_new(steps ? steps : own_steps(law));
    double *at = spaced_steps(kind, (int64_t) law->count, l.steps, 0, true),
           *bars = alpha_bars_of(law->betas, law->count);
    if (l.steps > (int64_t) law->count)
        fail(HISS_ERROR_ARGUMENT, "%lld steps: there are %zu of training: ask for fewer, or for another schedule",
             (long long) l.steps, law->count);
    for (int64_t i = 0; i < l.steps; i++) l.sigmas[i] = vp_sigma(bars[(size_t) at[i]]);
    return l;
}
static levels leading(const noise_law *law, int64_t steps) { return by_spacing(law, steps, SPACING_LEADING); }
static levels trailing(const noise_law *law, int64_t steps) { return by_spacing(law, steps, SPACING_TRAILING); }

/* stable-audio-tools' for rectified flow. */
static levels log_snr(const noise_law *law, int64_t steps) {
    int64_t n = steps ? steps : own_steps(law);
    return levels_of_times(PROCESS_STRAIGHT, times_log_snr(time_of(PROCESS_STRAIGHT, law->most), n), n);
}

/* --- by sigma --- */

static double karras(double t, double least, double most, double rho) {
    double high = pow(most, 1 / rho), low = pow(least, 1 / rho);
    return pow(high + t * (low - high), rho);
}
static double exponential(double t, double least, double most, double rho) {
    (void) rho;
    return exp(log(most) + t * (log(least) - log(most)));
}
static double polyexponential(double t, double least, double most, double rho) {
    return exp(pow(1 - t, rho) * (log(most) - log(least)) + log(least));
}
static double linear_sigma(double t, double least, double most, double rho) {
    (void) rho;
    return most + t * (least - most);
}

/* Quantiles of the beta distribution (alpha, alpha), which crowds at both ends; Lee et al. 2024, arXiv 2407.12173. In
 * u = x^alpha its density has no pole at 0, and x = 1/2 is the middle. */
static double beta_area(double x, double alpha) {
    enum { PIECES = 256 };
    double end = pow(x, alpha), sum = 0;
    for (int i = 0; i <= PIECES; i++) /* Simpson */
        sum += (i == 0 || i == PIECES ? 1 : i % 2 ? 4 : 2) * pow(1 - pow(end * i / PIECES, 1 / alpha), alpha - 1);
    return sum * end / (3 * PIECES);
}
static double beta_quantile(double share, double alpha) {
    if (share > 0.5) return 1 - beta_quantile(1 - share, alpha);
    double low = 0, high = 0.5, all = 2 * beta_area(0.5, alpha);
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (beta_area(middle, alpha) < share * all) low = middle;
        else high = middle;
    }
    return (low + high) / 2;
}
static double beta(double t, double least, double most, double alpha) {
    return least + beta_quantile(1 - t, alpha) * (most - least);
}

levels levels_between(const schedule *kind, int64_t n, double least, double most, double rho) {
    levels l = levels_new(n);
    for (int64_t i = 0; i < n; i++)
        l.sigmas[i] = kind->at(n > 1 ? (double) i / (double) (n - 1) : 0, least, most, rho > 0 ? rho : kind->rho);
    return l;
}

levels levels_of_times(process kind, const double *times, int64_t steps) {
    levels l = levels_new(steps);
    for (int64_t i = 0; i <= steps; i++) l.sigmas[i] = sigma_at(kind, times[i]);
    return l;
}

levels levels_vp(int64_t n, double beta_d, double beta_min, double last) {
    levels l = levels_new(n);
    for (int64_t i = 0; i < n; i++) {
        double t = n > 1 ? 1 + (last - 1) * (double) i / (double) (n - 1) : 1;
        l.sigmas[i] = sqrt(expm1(beta_d * t * t / 2 + beta_min * t));
    }
    return l;
}

/* --- the table --- */

const schedule SCHEDULES[] = {
    {"paper", "the short list the model comes with", paper, NULL, 0},
    {"linear", "even in the steps of training", linear, NULL, 0},
    {"cosine", "Nichol and Dhariwal 2021, arXiv 2102.09672", cosine, NULL, 0},
    {"leading", "whole steps of training, evenly from the first", leading, NULL, 0},
    {"trailing", "whole steps of training, evenly to the last; Lin et al. 2024, arXiv 2305.08891", trailing, NULL, 0},
    {"log-snr", "even in log-SNR from all noise, for rectified flow", log_snr, NULL, 0},
    {"karras", "Karras et al. 2022, arXiv 2206.00364, equation 5", NULL, karras, 7},
    {"exponential", "even in log sigma", NULL, exponential, 1},
    {"polyexponential", "a power of even steps in log sigma", NULL, polyexponential, 1},
    {"beta", "Lee et al. 2024, arXiv 2407.12173", NULL, beta, 0.6},
    {"linear-sigma", "even in sigma", NULL, linear_sigma, 1},
    {0}};

const schedule *schedule_find(const char *name) {
    for (const schedule *s = SCHEDULES; s->name; s++)
        if (!strcmp(s->name, name)) return s;
    return NULL;
}

levels schedule_make(const schedule *kind, const noise_law *law, int64_t steps) {
    if (kind->make) return kind->make(law, steps);
    return levels_between(kind, steps ? steps : own_steps(law), law->least, law->most, 0);
}
