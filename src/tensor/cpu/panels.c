#include "tensor/cpu/panels.h"

#include <pthread.h>

#include "tensor/cpu/tile.h"

struct panels {
    struct panels *next;
    panels_order order;
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

static void fill(float *to, const float *w, int64_t out_c, int64_t in_c, int K, panels_order order) {
    bool forward = order == PANELS_FORWARD;
    int64_t columns = forward ? out_c : in_c, steps = forward ? in_c : out_c;
    int64_t column_step = forward ? in_c * K : K, step_step = forward ? K : in_c * K;
#pragma omp parallel for schedule(static) if (columns * steps * K > PANELS_PARALLEL)
    for (int64_t n = 0; n < panel_count(columns) * K; n++) {
        int64_t first = n / K * TILE_COLUMNS;
        int k = forward ? (int) (n % K) : K - 1 - (int) (n % K);
        float *panel = to + n * steps * TILE_COLUMNS;
        for (int64_t p = 0; p < steps; p++)
            for (int64_t j = 0; j < TILE_COLUMNS; j++)
                panel[p * TILE_COLUMNS + j] =
                    first + j < columns ? w[(first + j) * column_step + p * step_step + k] : 0.0f;
    }
}

static void forget(void *slot) { *(struct panels **) slot = NULL; }

static panels *find(param *owner, panels_order order, size_t size) {
    for (panels *k = owner->panels; k; k = k->next)
        if (k->order == order) return k;
    scope *before = scope_switch(owner->home);
    panels *k = NEW(panels);
    k->data = alloc(size);
    k->order = order;
    if (!owner->panels) defer(forget, &owner->panels);
    scope_switch(before);
    k->next = owner->panels;
    owner->panels = k;
    return k;
}

const float *panels_of(const tensor *w, int64_t out_c, int64_t in_c, int kernel, panels_order order) {
    bool forward = order == PANELS_FORWARD;
    int64_t columns = forward ? out_c : in_c, steps = forward ? in_c : out_c;
    size_t size = (size_t) (panel_count(columns) * kernel * steps * TILE_COLUMNS) * sizeof(float);
    if (!w->param) {
        float *data = alloc(size);
        fill(data, w->data, out_c, in_c, kernel, order);
        return data;
    }
    scope_begin();
    pthread_mutex_lock(&lock);
    defer(unlock, NULL);
    panels *k = find(w->param, order, size);
    if (k->version != w->param->version) {
        fill(k->data, w->data, out_c, in_c, kernel, order);
        k->version = w->param->version;
    }
    scope_end();
    return k->data;
}
