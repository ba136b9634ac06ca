/* See turn.h. */
#include "signal/turn.h"

#include <math.h>

#include "base/error.h"
#include "base/scope.h"

enum { HALF = 32 }; /* zero crossings to each side */

/* Hann-windowed sinc at distance d, cut off at `cutoff` of half the rate. */
static double weight_at(double d, double cutoff) {
    const double width = HALF / cutoff, angle = M_PI * d * cutoff;
    if (fabs(d) >= width) return 0;
    const double window = 0.5 + 0.5 * cos(M_PI * d / width);
    return window * (fabs(angle) < 1e-9 ? 1 : sin(angle) / angle);
}

void fit_turn(const audio *turn, audio *to) {
    const int64_t N = turn->frames, C = turn->channels;
    require(to->channels == turn->channels && N > 0);
    const double step = (double) N / (double) to->frames, cutoff = step > 1 ? 1 / step : 1;
    const int64_t reach = (int64_t) ceil(HALF / cutoff);
    scope_begin();
    double *sums = NEW_ARRAY(double, C);
    for (int64_t i = 0; i < to->frames; i++) {
        const double at = (double) i * step;
        const int64_t middle = (int64_t) floor(at);
        double weights = 0;
        for (int64_t c = 0; c < C; c++) sums[c] = 0;
        for (int64_t k = middle - reach + 1; k <= middle + reach; k++) {
            const double weight = weight_at(at - (double) k, cutoff);
            const float *from = turn->samples + ((k % N + N) % N) * C;
            weights += weight;
            for (int64_t c = 0; c < C; c++) sums[c] += weight * from[c];
        }
        for (int64_t c = 0; c < C; c++) to->samples[i * C + c] = (float) (sums[c] / weights);
    }
    scope_end();
}
