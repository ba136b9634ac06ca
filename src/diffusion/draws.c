/* Draws for training. */
#include "diffusion/draws.h"

#include <math.h>

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double logit(double p) { return log(p / (1 - p)); }

double normal_share(double z) { return erfc(-z / M_SQRT2) / 2; }

/* Newton's steps from a start of the right order, in the tail that keeps its digits. */
double normal_quantile(double share) {
    if (share <= 0) return -INFINITY;
    if (share >= 1) return INFINITY;
    if (share > 0.5) return -normal_quantile(1 - share);
    double z = -sqrt(fmax(-2 * log(2 * share), 0));
    for (int i = 0; i < 60; i++) {
        double density = exp(-z * z / 2) / sqrt(2 * M_PI), step = (normal_share(z) - share) / density;
        step = fmin(fmax(step, -1), 1);
        z -= step;
        if (fabs(step) < 1e-15) break;
    }
    return z;
}

double normal_of(double u, double v) { return sqrt(-2 * log(1 - u)) * cos(2 * M_PI * v); }

double draw_logit_normal(double z, double mean, double std) { return sigmoid(mean + std * z); }

double draw_truncated_logit_normal(double z, double left) {
    double low = normal_share(logit(left));
    double t = sigmoid(normal_quantile(low + (1 - low) * normal_share(z)));
    return (t - left) / (1 - left);
}

static double of_log_snr(double log_snr) { return fmin(fmax(sigmoid(-log_snr), 1e-4), 1 - 1e-4); }
double draw_log_snr(double z, double mean, double std) { return of_log_snr(mean + std * z); }
double draw_log_snr_uniform(double u, double low, double high) { return of_log_snr(low + u * (high - low)); }

double draw_mode(double u, double scale) { return 1 - u - scale * (pow(cos(M_PI * u / 2), 2) - 1 + u); }

double draw_log_normal(double z, double mean, double std) { return exp(mean + std * z); }

double draw_log_logistic(double u, double mean, double scale, double least, double most) {
    double low = sigmoid((log(least) - mean) / scale), high = sigmoid((log(most) - mean) / scale);
    return exp(logit(low + u * (high - low)) * scale + mean);
}

double draw_log_uniform(double u, double least, double most) { return exp(log(least) + u * log(most / least)); }

double draw_v(double u, double data, double least, double most) {
    double low = atan(least / data), high = atan(most / data);
    return tan(low + u * (high - low)) * data;
}

static double cosine_log_snr(double u, double shift, double low, double high) {
    double first = atan(exp(-(high - shift) / 2)), last = atan(exp(-(low - shift) / 2));
    return -2 * log(tan(first + u * (last - first))) + shift;
}

double draw_cosine_interpolated(double u, double size, double low, double high, double least, double most) {
    double from = -2 * log(least), to = -2 * log(most);
    double a = cosine_log_snr(u, 2 * log(low / size), from, to), b = cosine_log_snr(u, 2 * log(high / size), from, to);
    return exp(-(a + u * (b - a)) / 2);
}

double draw_split_log_normal(double z, double u, double mean, double below, double above) {
    return exp(mean + (u < below / (below + above) ? -fabs(z) * below : fabs(z) * above));
}

double draw_between(const double *alpha_bars, size_t step, double u) {
    double before = step > 1 ? sqrt(alpha_bars[step - 2]) : 1, after = sqrt(alpha_bars[step - 1]);
    return before + u * (after - before);
}

/* --- coupling --- */

/* log P[i][j] less the logarithm of the sums along rows (step 1, B apart) or columns. */
static void normalise(double *P, int64_t B, int64_t along, int64_t across) {
    for (int64_t i = 0; i < B; i++) {
        double most = -INFINITY, sum = 0;
        for (int64_t j = 0; j < B; j++) most = fmax(most, P[i * across + j * along]);
        for (int64_t j = 0; j < B; j++) sum += exp(P[i * across + j * along] - most);
        for (int64_t j = 0; j < B; j++) P[i * across + j * along] -= most + log(sum);
    }
}

void couple_noise(const tensor *signal, const tensor *noise, int64_t *permutation) {
    enum { ROUNDS = 20 };
    int64_t B = signal->shape[0], n = count(signal) / B;
    scope_begin();
    double *P = NEW_ARRAY(double, B *B), mean = 0;
    bool *used = NEW_ARRAY(bool, B);
    for (int64_t i = 0; i < B; i++)
        for (int64_t j = 0; j < B; j++) {
            for (int64_t k = 0; k < n; k++) {
                double d = (double) f32(signal)[i * n + k] - (double) f32(noise)[j * n + k];
                P[i * B + j] += d * d;
            }
            mean += P[i * B + j] / (double) (B * B);
        }
    for (int64_t i = 0; i < B * B; i++) P[i] /= -mean;
    for (int r = 0; r < ROUNDS; r++) {
        normalise(P, B, 1, B);
        normalise(P, B, B, 1);
    }
    for (int64_t i = 0; i < B; i++) {
        int64_t best = -1;
        for (int64_t j = 0; j < B; j++)
            if (!used[j] && (best < 0 || P[i * B + j] > P[i * B + best])) best = j;
        used[best] = true;
        permutation[i] = best;
    }
    scope_end();
}
