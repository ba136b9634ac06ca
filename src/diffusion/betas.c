/* Tables of betas, from the least noise to the most. */
#include "diffusion/betas.h"

#include <math.h>
#include <string.h>

#include "base/scope.h"

static double beta_linear(double t, double start, double end) { return start + t * (end - start); }
static double beta_scaled_linear(double t, double start, double end) {
    double root = sqrt(start) + t * (sqrt(end) - sqrt(start));
    return root * root;
}
static double beta_sigmoid(double t, double start, double end) { return start + (end - start) / (1 + exp(6 - 12 * t)); }
static double beta_sqrt(double t, double start, double end) { return sqrt(start + t * (end - start)); }

static double bar_cosine(double t) { return pow(cos((t + 0.008) / 1.008 * M_PI / 2), 2); }
static double bar_exp(double t) { return exp(-12 * t); }
static double bar_laplace(double t) {
    double log_snr = -0.5 * copysign(1, 0.5 - t) * log(1 - 2 * fabs(0.5 - t) + 1e-6);
    return sqrt(exp(log_snr) / (1 + exp(log_snr)));
}

const beta_schedule BETA_SCHEDULES[] = {
    {"linear", "Ho et al. 2020, arXiv 2006.11239", beta_linear, NULL},
    {"scaled-linear", "Rombach et al. 2022, arXiv 2112.10752", beta_scaled_linear, NULL},
    {"sigmoid", "GeoDiff, arXiv 2203.02923", beta_sigmoid, NULL},
    {"sqrt", "Rombach et al. 2022", beta_sqrt, NULL},
    {"cosine", "Nichol and Dhariwal 2021, arXiv 2102.09672", NULL, bar_cosine},
    {"exp", "alpha_bar falls by e^-12", NULL, bar_exp},
    {"laplace", "Hang et al. 2024, arXiv 2407.03297", NULL, bar_laplace},
    {0}};

const beta_schedule *beta_schedule_find(const char *name) {
    for (const beta_schedule *s = BETA_SCHEDULES; s->name; s++)
        if (!strcmp(s->name, name)) return s;
    return NULL;
}

double *betas_make(const beta_schedule *kind, size_t count, double start, double end) {
    double *betas = NEW_ARRAY(double, count);
    for (size_t i = 0; i < count; i++) {
        double n = (double) count, at = (double) i;
        if (kind->beta) betas[i] = kind->beta(count > 1 ? at / (n - 1) : 0, start, end);
        else betas[i] = fmin(1 - kind->alpha_bar((at + 1) / n) / kind->alpha_bar(at / n), 0.999);
    }
    return betas;
}

double *alpha_bars_of(const double *betas, size_t count) {
    double *bars = NEW_ARRAY(double, count), bar = 1;
    for (size_t i = 0; i < count; i++) bars[i] = bar *= 1 - betas[i];
    return bars;
}

void betas_end_in_noise(double *betas, size_t count) {
    if (count < 2) return;
    double *bars = alpha_bars_of(betas, count), first = sqrt(bars[0]), last = sqrt(bars[count - 1]), before = 1;
    for (size_t i = 0; i < count; i++) {
        double root = (sqrt(bars[i]) - last) * first / (first - last), bar = root * root;
        betas[i] = 1 - bar / before;
        before = bar;
    }
}

double *spaced_steps(spacing kind, int64_t trained, int64_t n, int64_t offset, bool whole) {
    double *steps = NEW_ARRAY(double, n), T = (double) trained;
    int64_t every = trained / n;
    for (int64_t i = 0; i < n; i++) {
        int64_t back = n - 1 - i;
        double at = n > 1 ? (T - 1) * (double) back / (double) (n - 1) : 0;
        if (kind == SPACING_LEADING) at = (double) (back * every + offset);
        if (kind == SPACING_TRAILING) at = rint(T - (double) i * (T / (double) n)) - 1;
        steps[i] = whole ? rint(at) : at;
    }
    return steps;
}

double alpha_bar_at(const double *betas, size_t count, double t) {
    double at = t * (double) count, sum = 0; /* log alpha_bar at `at` steps */
    for (size_t i = 0; i < count && at > 0; i++, at--) sum += log1p(-betas[i]) * fmin(at, 1);
    return exp(sum);
}

double step_of_sigma(const double *sigmas, size_t count, double sigma) {
    size_t low = 0;
    while (low + 2 < count && sigmas[low + 1] <= sigma) low++;
    double w = (log(sigma) - log(sigmas[low])) / (log(sigmas[low + 1]) - log(sigmas[low]));
    return (double) low + fmin(fmax(w, 0), 1);
}

double sigma_of_step(const double *sigmas, size_t count, double step) {
    double at = fmin(fmax(step, 0), (double) count - 1);
    size_t low = (size_t) at, high = low + 1 < count ? low + 1 : low;
    double w = at - (double) low;
    return exp((1 - w) * log(sigmas[low]) + w * log(sigmas[high]));
}

double training_step_at(const double *betas, size_t count, double alpha_bar) {
    double bar = count ? 1 - betas[0] : 1, root = sqrt(alpha_bar);
    if (alpha_bar >= bar) return 0;
    for (size_t t = 0; t + 1 < count; t++) {
        double next = bar * (1 - betas[t + 1]);
        if (alpha_bar >= next) return (double) t + (sqrt(bar) - root) / (sqrt(bar) - sqrt(next));
        bar = next;
    }
    return count ? (double) count - 1 : 0;
}
