/* See guard.h. */
#include "systems/guard.h"

#include <string.h>

#include "base/scope.h"
#include "signal/limiter.h"

/* Late by its delay: as many frames are left out at the beginning. */
struct guard {
    limiter *at_peaks;
    int channels;
    int64_t skip;
    take_samples *take;
    void *context;
};

guard *guard_begin(int channels, int rate, double ceiling, take_samples *take, void *context) {
    guard *g = NEW(guard);
    *g = (guard){limiter_begin(channels, rate, ceiling), channels, 0, take, context};
    g->skip = limiter_delay(g->at_peaks);
    return g;
}

void guard_put(void *context, const float *samples, int64_t frames) {
    guard *g = context;
    scope_begin();
    float *held = NEW_ARRAY(float, frames * g->channels);
    memcpy(held, samples, (size_t) (frames * g->channels) * sizeof(float));
    limiter_run(g->at_peaks, held, frames);
    const int64_t skip = g->skip < frames ? g->skip : frames;
    g->skip -= skip;
    if (frames > skip) g->take(g->context, held + skip * g->channels, frames - skip);
    scope_end();
}

void guard_end(guard *g) {
    const int64_t delay = limiter_delay(g->at_peaks);
    if (!delay) return;
    scope_begin();
    guard_put(g, NEW_ARRAY(float, delay * g->channels), delay);
    scope_end();
}
