/* The A-weighting (IEC 61672) as a symmetric filter, the way auraloss makes it: the amplitude of the bilinearly transformed analogue
 * filter at 512 frequencies, met by least squares over straight lines between them. */
#include <math.h>

#include "eval/signal_distance.h"
#include "tensor/eigen.h"

enum { POINTS = 512, HALF = A_WEIGHTING_TAPS / 2 + 1 };

/* Of the analogue filter at the frequency that the bilinear transform moves to w (radians a sample). */
static double amplitude(double w, int rate) {
    static const double POLES[4] = {20.598997, 107.65265, 737.86223, 12194.217}; /* hz; the outer ones are double */
    static const double AT_1000_HZ = 1.9997;                                     /* dB, to be made up for */
    double s = 2 * rate * tan(w / 2), d[4], top = 2 * M_PI * POLES[3];
    for (int i = 0; i < 4; i++) d[i] = hypot(s, 2 * M_PI * POLES[i]);
    return top * top * pow(10, AT_1000_HZ / 20) * pow(s, 4) / (d[0] * d[0] * d[1] * d[2] * d[3] * d[3]);
}

static double sinc(double x) { return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x); }

/* Integral of cos(pi n f) (slope f + start) up to f. */
static double moment(int n, double f, double slope, double start) {
    double m = f * (slope * f + start) * sinc(f * n);
    return n == 0 ? m - slope * f * f / 2 : m + slope * cos(M_PI * n * f) / (M_PI * M_PI * n * n);
}

/* q a = b by the eigenvectors of q, a symmetric and positive matrix. */
static void solve(double *q, const double *b, double *a, int n) {
    double *values = NEW_ARRAY(double, n);
    symmetric_eigen(q, n, values);
    for (int k = 0; k < n; k++) {
        double part = 0;
        for (int i = 0; i < n; i++) part += q[k * n + i] * b[i];
        for (int i = 0; i < n; i++) a[i] += part / values[k] * q[k * n + i];
    }
}

tensor *a_weighting(int rate) {
    double gram[2 * HALF] = {0}, *b = NEW_ARRAY(double, HALF), *a = NEW_ARRAY(double, HALF);
    double *q = NEW_ARRAY(double, HALF *HALF);
    tensor *taps = tensor_new(F32, SHAPE(A_WEIGHTING_TAPS));
    for (int i = 0; i < POINTS; i += 2) { /* a band between each two points; frequencies in units of half the rate */
        double low = (double) i / POINTS, high = (double) (i + 1) / POINTS;
        double first = amplitude(M_PI * low, rate), slope = (amplitude(M_PI * high, rate) - first) / (high - low);
        for (int n = 0; n < 2 * HALF; n++) gram[n] += high * sinc(high * n) - low * sinc(low * n);
        for (int n = 0; n < HALF; n++)
            b[n] += moment(n, high, slope, first - slope * low) - moment(n, low, slope, first - slope * low);
    }
    for (int i = 0; i < HALF; i++)
        for (int j = 0; j < HALF; j++) q[i * HALF + j] = gram[i > j ? i - j : j - i] + gram[i + j];
    solve(q, b, a, HALF);
    for (int i = 0; i < HALF; i++) f32(taps)[HALF - 1 + i] = f32(taps)[HALF - 1 - i] = (float) (i ? a[i] : 2 * a[0]);
    return taps;
}
