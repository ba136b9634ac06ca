/* Weights and scalings: one formula each. */
#include "diffusion/weights.h"

#include <math.h>

scalings scalings_edm(double sigma, double data) {
    double both = sigma * sigma + data * data;
    return (scalings){data * data / both, sigma * data / sqrt(both), 1 / sqrt(both)};
}

scalings scalings_v(double sigma) {
    scalings s = scalings_edm(sigma, 1);
    return (scalings){s.skip, -s.out, s.in};
}

scalings scalings_consistency(double sigma, double least, double data) {
    double above = sigma - least;
    return (scalings){data * data / (above * above + data * data), above * data / hypot(sigma, data),
                      1 / hypot(sigma, data)};
}

scalings scalings_lcm(double step, double stretch, double data) {
    double t = step * stretch, both = t * t + data * data;
    return (scalings){data * data / both, t / sqrt(both), 1};
}

double weight_min_snr(double snr, double gamma, objective of) {
    double least = fmin(snr, gamma);
    return of == PREDICT_NOISE ? least / snr : of == PREDICT_V ? least / (snr + 1) : least;
}

double weight_p2(double snr, double k, double gamma) { return 1 / pow(k + snr, gamma); }

double weight_edm(double sigma, double data) { return (sigma * sigma + data * data) / (sigma * data * sigma * data); }

double weight_snr(double sigma, double data) { return scalings_edm(sigma, data).skip; }

double weight_soft_min_snr(double sigma, double data) {
    double share = sigma * data / (sigma * sigma + data * data);
    return share * share;
}

double weight_flow_inverse(double t) { return 1 / (t * t); }
double weight_flow_cosine(double t) { return 2 / (M_PI * (1 - 2 * t + 2 * t * t)); }
