/* See a_weighting.h. Frequencies as shares of half the rate. */
#include "signal/a_weighting.h"

#include <math.h>

#include "base/scope.h"

enum { POINTS = 512, HALF = A_WEIGHTING_TAPS / 2, SIZE = HALF + 1 };

/* Of the analog filter behind the bilinear transform. */
static double curve_at(double f, double rate) {
    const double w1 = 2 * M_PI * 20.598997, w2 = 2 * M_PI * 107.65265, w3 = 2 * M_PI * 737.86223,
                 w4 = 2 * M_PI * 12194.217, gain = w4 * w4 * pow(10, 1.9997 / 20);
    const double w = 2 * rate * tan(f * M_PI / 2), s = w * w;
    return gain * s * s / ((s + w4 * w4) * (s + w1 * w1) * sqrt(s + w3 * w3) * sqrt(s + w2 * w2));
}

static double sinc(double x) { return fabs(x) < 1e-12 ? 1 : sin(M_PI * x) / (M_PI * x); }

/* The integral of cos(pi n f) up to f; of (slope f + base) cos(pi n f). */
static double cosine_integral(int n, double f) { return f * sinc(n * f); }

static double line_integral(int n, double f, double slope, double base) {
    const double bend = n ? slope * cos(M_PI * n * f) / (M_PI * M_PI * n * n) : -slope * f * f / 2;
    return f * (slope * f + base) * sinc(n * f) + bend;
}

/* q x = b, q symmetric and positive; b becomes x (Cholesky). */
static void solve(double q[SIZE][SIZE], double b[SIZE]) {
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j <= i; j++) {
            double sum = q[i][j];
            for (int k = 0; k < j; k++) sum -= q[i][k] * q[j][k];
            q[i][j] = i == j ? sqrt(sum) : sum / q[j][j];
        }
    for (int i = 0; i < SIZE; i++) {
        for (int k = 0; k < i; k++) b[i] -= q[i][k] * b[k];
        b[i] /= q[i][i];
    }
    for (int i = SIZE - 1; i >= 0; i--) {
        for (int k = i + 1; k < SIZE; k++) b[i] -= q[k][i] * b[k];
        b[i] /= q[i][i];
    }
}

/* The sum of cosines a_n cos(pi n f) nearest to the curve on every second of the intervals between the points, where it is taken as
 * straight. */
float *a_weighting_taps(double rate) {
    double moments[2 * SIZE] = {0}, b[SIZE] = {0}, q[SIZE][SIZE];
    for (int i = 0; i < POINTS; i += 2) {
        const double from = (double) i / POINTS, to = (double) (i + 1) / POINTS, low = curve_at(from, rate),
                     slope = (curve_at(to, rate) - low) / (to - from), base = low - slope * from;
        for (int n = 0; n < 2 * SIZE; n++) moments[n] += cosine_integral(n, to) - cosine_integral(n, from);
        for (int n = 0; n < SIZE; n++) b[n] += line_integral(n, to, slope, base) - line_integral(n, from, slope, base);
    }
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) q[i][j] = moments[i > j ? i - j : j - i] + moments[i + j];
    solve(q, b);
    float *taps = NEW_ARRAY(float, A_WEIGHTING_TAPS);
    for (int i = 0; i < SIZE; i++) taps[HALF + i] = taps[HALF - i] = (float) (i ? b[i] : 2 * b[0]);
    return taps;
}
