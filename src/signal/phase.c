/* See phase.h. With M = n_fft, a = hop and s = ln magnitude over frames n and bins k, the gradients of the phase counted from
 * the window's middle are
 *     along time, a frame:    (a M / gamma) ds/dk + 2 pi a k / M
 *     along frequency, a bin: -(gamma / (a M)) ds/dn
 * where gamma is that of the Gaussian nearest to the window. K bins. */
#include "signal/phase.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"

static const double HANN_GAMMA = 0.25645; /* over M^2 */
static const float RANGE = 11.512925f;    /* ln 1e5: below the loudest bin, phases are random */
static const float SILENCE = -1e30f;

/* What waits in the heap, as one number that orders it: the louder level, then the lower bin, then the frame before. High 32
 * bits: the level's bits, turned so that they order like the levels; low ones: less than 2^32 by 2 bin + (0 of the frame
 * before, 1 of this one). */
typedef uint64_t entry;

static inline entry make_entry(float level, int32_t bin, bool now) {
    union {
        float value;
        uint32_t bits;
    } u = {level};
    const uint32_t order = u.bits & 0x80000000u ? ~u.bits : u.bits | 0x80000000u;
    return (uint64_t) order << 32 | (UINT32_MAX - (2 * (uint32_t) bin + now));
}

static inline int32_t bin_of(entry e) { return (int32_t) ((UINT32_MAX - (uint32_t) e) / 2); }
static inline bool is_now(entry e) { return (UINT32_MAX - (uint32_t) e) % 2; }

struct phase_integrator {
    int K;
    float time_unit, frequency_unit; /* a M / gamma, gamma / (a M) */
    float *turn;                     /* [K]: 2 pi a k / M, less whole turns */
    random_key key;
    uint64_t frame;
    float *level[2], *along_time[2], *phase[2]; /* [K] of the frame before and of this one */
    float *along_frequency;
    bool *waiting; /* [K]: bins of this frame that have no phase yet */
    entry *heap;
    int size;
};

phase_integrator *phase_integrator_new(int n_fft, int hop, random_key key) {
    require(n_fft >= 4 && hop >= 1);
    phase_integrator *p = NEW(phase_integrator);
    const int K = p->K = n_fft / 2 + 1;
    const double unit = hop / (HANN_GAMMA * n_fft);
    p->time_unit = (float) unit;
    p->frequency_unit = (float) (1 / unit);
    p->key = key;
    p->turn = NEW_ARRAY(float, K);
    for (int k = 0; k < K; k++) p->turn[k] = (float) (2 * M_PI * (double) ((int64_t) hop * k % n_fft) / n_fft);
    for (int i = 0; i < 2; i++) {
        p->level[i] = NEW_ARRAY(float, K);
        p->along_time[i] = NEW_ARRAY(float, K);
        p->phase[i] = NEW_ARRAY(float, K);
    }
    for (int k = 0; k < K; k++) p->level[0][k] = SILENCE;
    p->along_frequency = NEW_ARRAY(float, K);
    p->waiting = NEW_ARRAY(bool, K);
    p->heap = NEW_ARRAY(entry, 2 * K);
    return p;
}

/* --- the heap: a binary one, the greatest entry first --- */

static void push(phase_integrator *p, entry e) {
    entry *heap = p->heap;
    int at = p->size++;
    for (int parent; at > 0 && e > heap[parent = (at - 1) / 2]; at = parent) heap[at] = heap[parent];
    heap[at] = e;
}

/* The hole of the greatest sinks to a leaf, and the last entry rises from there: fewer comparisons than the other way. */
static entry pop(phase_integrator *p) {
    entry *heap = p->heap;
    const entry first = heap[0], last = heap[--p->size];
    const int size = p->size;
    int at = 0;
    for (int child; (child = 2 * at + 1) < size; at = child) {
        child += child + 1 < size && heap[child + 1] > heap[child];
        heap[at] = heap[child];
    }
    for (int parent; at > 0 && last > heap[parent = (at - 1) / 2]; at = parent) heap[at] = heap[parent];
    heap[at] = last;
    return first;
}

/* --- a frame --- */

static void set_gradients(phase_integrator *p, const float *after) {
    const int K = p->K;
    const float *s = p->level[1], *before = p->level[0];
    for (int k = 0; k < K; k++) {
        const float up = s[k + 1 < K ? k + 1 : k], down = s[k ? k - 1 : k];
        p->along_time[1][k] = p->time_unit * 0.5f * (up - down) + p->turn[k];
        const float earlier = before[k] == SILENCE ? s[k] : before[k];
        p->along_frequency[k] = -p->frequency_unit * 0.5f * (after[k] - earlier);
    }
}

static float random_phase(const phase_integrator *p, int k) {
    return (float) (2 * M_PI * random_uniform(random_child(p->key, p->frame), (uint64_t) k));
}

/* The bins to be integrated wait, the others get their phases; the loudest one's index. */
static int choose_bins(phase_integrator *p) {
    const int K = p->K;
    float top = SILENCE;
    int loudest = 0;
    for (int k = 0; k < K; k++) {
        if (p->level[1][k] > p->level[1][loudest]) loudest = k;
        top = fmaxf(top, fmaxf(p->level[0][k], p->level[1][k]));
    }
    for (int k = 0; k < K; k++) {
        p->waiting[k] = p->level[1][k] > top - RANGE;
        if (!p->waiting[k]) p->phase[1][k] = random_phase(p, k);
    }
    return loudest;
}

static void settle(phase_integrator *p, int k, float phase) {
    p->phase[1][k] = phase;
    p->waiting[k] = false;
    push(p, make_entry(p->level[1][k], k, true));
}

static void spread(phase_integrator *p, int k, int to) {
    if (to < 0 || to >= p->K || !p->waiting[to]) return;
    const float step = 0.5f * (p->along_frequency[k] + p->along_frequency[to]);
    settle(p, to, p->phase[1][k] + (float) (to - k) * step);
}

static void integrate(phase_integrator *p) {
    while (p->size) {
        const entry e = pop(p);
        const int k = bin_of(e);
        if (is_now(e)) {
            spread(p, k, k + 1);
            spread(p, k, k - 1);
        } else if (p->waiting[k]) {
            settle(p, k, p->phase[0][k] + 0.5f * (p->along_time[0][k] + p->along_time[1][k]));
        }
    }
}

static void swap(float *pair[2]) {
    float *first = pair[0];
    pair[0] = pair[1];
    pair[1] = first;
}

void phase_next(phase_integrator *p, const float *log_magnitude, const float *after, float *phase) {
    const int K = p->K;
    memcpy(p->level[1], log_magnitude, (size_t) K * sizeof(float));
    set_gradients(p, after);
    const int loudest = choose_bins(p);
    p->size = 0;
    if (p->frame == 0) {
        if (p->waiting[loudest]) settle(p, loudest, random_phase(p, loudest));
    } else {
        for (int k = 0; k < K; k++)
            if (p->waiting[k]) push(p, make_entry(p->level[0][k], k, false));
    }
    integrate(p);
    for (int k = 0; k < K; k++) { /* what was not reached lies beyond a gap */
        if (p->waiting[k]) p->phase[1][k] = random_phase(p, k);
        p->phase[1][k] -= 2 * (float) M_PI * rintf(p->phase[1][k] * (float) (0.5 / M_PI));
        phase[k] = p->phase[1][k] - (k % 2 ? (float) M_PI : 0); /* from the window's middle to its first sample */
    }
    swap(p->level);
    swap(p->along_time);
    swap(p->phase);
    p->frame++;
}
