#include "tensor/cpu/panels.h"

#include <pthread.h>
#include <string.h>

#include "tensor/cpu/tile.h"

struct panels {
    struct panels *next;
    panels_key key;
    uint64_t version;
    float *data;
};
typedef struct panels panels;

/* Weights that are worth waking threads for. */
enum { PANELS_PARALLEL = 1 << 16 };

/* Models may be used by several threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void unlock(void *unused) {
    (void) unused;
    pthread_mutex_unlock(&lock);
}

static int64_t panel_count(int64_t columns) { return (columns + TILE_COLUMNS - 1) / TILE_COLUMNS; }

/* --- taps --- */

static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

static int64_t repeated_row(int kernel, panels_key key, int k) {
    return floor_div(key.phase + (int64_t) (k - kernel / 2) * key.dilation, key.factor);
}

panels_reach repeated_reach(int kernel, panels_key key) {
    int64_t first = repeated_row(kernel, key, 0);
    return (panels_reach){first, (int) (repeated_row(kernel, key, kernel - 1) - first) + 1};
}

bool repeated_like_before(int kernel, panels_key key) {
    panels_key before = key;
    before.phase--;
    bool alike = key.phase > 0;
    for (int k = 0; k < kernel; k++) alike &= repeated_row(kernel, key, k) == repeated_row(kernel, before, k);
    return alike;
}

static int tap_count(int kernel, panels_key key) {
    return key.order == PANELS_REPEATED ? repeated_reach(kernel, key).taps : kernel;
}

/* Where tap k of the kernel goes. */
static int place_of(int kernel, panels_key key, int k) {
    if (key.order == PANELS_REPEATED) return (int) (repeated_row(kernel, key, k) - repeated_row(kernel, key, 0));
    return key.order == PANELS_FORWARD ? k : kernel - 1 - k;
}

/* --- filling --- */

static inline float value_at(const void *w, bool narrow, int64_t i) {
    if (!narrow) return ((const float *) w)[i];
    union {
        uint32_t bits;
        float value;
    } wide = {.bits = (uint32_t) ((const uint16_t *) w)[i] << 16};
    return wide.value;
}

/* Adds tap k of the columns from `first` on to one panel's tap. narrow: w is BF16. */
static inline void add_tap_of(float *panel, const void *w, bool narrow, int64_t out_c, int64_t in_c, int K, int k,
                              int64_t first, bool back) {
    int64_t columns = back ? in_c : out_c, steps = back ? out_c : in_c;
    int64_t column_step = back ? K : in_c * K, step_step = back ? in_c * K : K;
    int64_t n = columns - first < TILE_COLUMNS ? columns - first : TILE_COLUMNS;
    for (int64_t p = 0; p < steps; p++)
        for (int64_t j = 0; j < n; j++)
            panel[p * TILE_COLUMNS + j] += value_at(w, narrow, (first + j) * column_step + p * step_step + k);
}

static void add_tap(float *panel, const tensor *w, int64_t out_c, int64_t in_c, int K, int k, int64_t first,
                    bool back) {
    if (w->type == BF16) add_tap_of(panel, w->data, true, out_c, in_c, K, k, first, back);
    else add_tap_of(panel, w->data, false, out_c, in_c, K, k, first, back);
}

/* w: F32 or BF16. */
static void fill(float *to, const tensor *w, int64_t out_c, int64_t in_c, int K, panels_key key) {
    bool back = key.order == PANELS_BACKWARD;
    int64_t columns = back ? in_c : out_c, steps = back ? out_c : in_c;
    int taps = tap_count(K, key);
#pragma omp parallel for schedule(static) if (columns * steps * K > PANELS_PARALLEL)
    for (int64_t n = 0; n < panel_count(columns) * taps; n++) {
        float *panel = to + n * steps * TILE_COLUMNS;
        memset(panel, 0, (size_t) (steps * TILE_COLUMNS) * sizeof(float));
        for (int k = 0; k < K; k++)
            if (place_of(K, key, k) == n % taps) add_tap(panel, w, out_c, in_c, K, k, n / taps * TILE_COLUMNS, back);
    }
}

/* --- keeping --- */

static bool same(panels_key a, panels_key b) {
    return a.order == b.order && a.factor == b.factor && a.dilation == b.dilation && a.phase == b.phase;
}

static void forget(void *slot) { *(struct panels **) slot = NULL; }

static panels *find(param *owner, panels_key key, size_t size) {
    for (panels *k = owner->panels; k; k = k->next)
        if (same(k->key, key)) return k;
    scope *before = param_home_enter(owner);
    panels *k = NEW(panels);
    k->data = alloc(size);
    k->key = key;
    if (!owner->panels) defer(forget, &owner->panels);
    param_home_leave(before);
    k->next = owner->panels;
    owner->panels = k;
    return k;
}

/* A parameter's values may lie in a file, in another type. */
static void fill_from(float *to, const tensor *w, int64_t out_c, int64_t in_c, int K, panels_key key) {
    scope_begin();
    const tensor *v = w->param ? param_values(w->param) : w;
    fill(to, v->type == F32 || v->type == BF16 ? v : tensor_to_f32(v), out_c, in_c, K, key);
    if (w->param) param_packed(w->param, v);
    scope_end();
}

const float *panels_of(const tensor *w, int64_t out_c, int64_t in_c, int kernel, panels_key key) {
    bool back = key.order == PANELS_BACKWARD;
    int64_t columns = back ? in_c : out_c, steps = back ? out_c : in_c;
    size_t size = (size_t) (panel_count(columns) * tap_count(kernel, key) * steps * TILE_COLUMNS) * sizeof(float);
    if (!w->param || w->param->once) {
        float *data = alloc(size);
        fill_from(data, w, out_c, in_c, kernel, key);
        return data;
    }
    scope_begin();
    pthread_mutex_lock(&lock);
    defer(unlock, NULL);
    panels *k = find(w->param, key, size);
    if (k->version != w->param->version) {
        fill_from(k->data, w, out_c, in_c, kernel, key);
        k->version = w->param->version;
    }
    scope_end();
    return k->data;
}
