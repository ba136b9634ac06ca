/* Rotary positions (Su et al. 2021): pairs of channels of each head turned by an angle that grows with time,
 * (position) base^(-2i / dims). The way back turns the other way. x [B, T, H D]. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/convert.h"
#include "tensor/node.h"
#include "tensor/ops.h"

/* cos and sin [T, 2, half]: angles in f32, as PyTorch's models compute them. */
static void fill_table(float *table, const rotary_options *o, int64_t T) {
    const int64_t half = o->dims / 2;
    for (int64_t i = 0; i < half; i++) {
        float rate = 1.0f / powf(o->base, (float) (2 * i) / (float) o->dims);
        for (int64_t t = 0; t < T; t++) {
            float angle = (float) (o->offset + t) * rate;
            table[t * 2 * half + i] = cosf(angle);
            table[(t * 2 + 1) * half + i] = sinf(angle);
        }
    }
}

/* Tables of a network are the same in all its layers and passes: the first few stay, as long as there is room, and serve every shorter
 * length. */
enum { KEPT = 4, ROOM = 1 << 17 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    int dims;
    float base;
    int64_t offset;
    float values[ROOM];
} kept[KEPT];

static const float *kept_table(const rotary_options *o, int64_t T) {
    const float *found = NULL;
    if (T > ROOM / o->dims) return NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < KEPT && !found; i++) {
        if (!kept[i].dims) {
            kept[i].dims = o->dims;
            kept[i].base = o->base;
            kept[i].offset = o->offset;
            fill_table(kept[i].values, o, ROOM / o->dims);
        }
        if (kept[i].dims == o->dims && kept[i].base == o->base && kept[i].offset == o->offset) found = kept[i].values;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static const float *table_of(const rotary_options *o, int64_t T) {
    const float *there = kept_table(o, T);
    if (there) return there;
    float *table = alloc((size_t) (T * o->dims + 1) * sizeof *table);
    fill_table(table, o, T);
    return table;
}

CLONES static void turn_halves(float *restrict y, const float *restrict x, const float *restrict table, int64_t half,
                               float direction) {
    const float *c = table, *s = table + half;
    for (int64_t i = 0; i < half; i++) {
        float a = x[i], b = x[half + i];
        y[i] = a * c[i] - b * (direction * s[i]);
        y[half + i] = b * c[i] + a * (direction * s[i]);
    }
}

CLONES static void turn_pairs(float *restrict y, const float *restrict x, const float *restrict table, int64_t half,
                              float direction) {
    const float *c = table, *s = table + half;
    for (int64_t i = 0; i < half; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        y[2 * i] = a * c[i] - b * (direction * s[i]);
        y[2 * i + 1] = b * c[i] + a * (direction * s[i]);
    }
}

/* y = or (add) += x turned forwards (1) or back (-1), all f32. */
static void turn(const rotary_options *o, float *y, const float *x, int64_t batch, int64_t T, int64_t C,
                 const float *table, float direction, bool add) {
    if (device_current()) {
        rotary_turn r = {batch, T, C, o->heads, o->dims, o->interleaved, table, direction};
        device_current()->turn(&r, y, x, add);
        return;
    }
    scope_begin();
    float *sum = y;
    if (add) y = alloc((size_t) (batch * T * C) * sizeof *y);
    int64_t D = C / o->heads, half = o->dims / 2;
#pragma omp parallel for schedule(static) if (batch * T * C > PARALLEL_MIN)
    for (int64_t r = 0; r < batch * T; r++)
        for (int64_t h = 0; h < o->heads; h++) {
            const float *from = x + r * C + h * D;
            float *to = y + r * C + h * D;
            (o->interleaved ? turn_pairs : turn_halves)(to, from, table + r % T * 2 * half, half, direction);
            memcpy(to + 2 * half, from + 2 * half, (size_t) (D - 2 * half) * sizeof *to);
        }
    if (add) add_to(sum, y, batch * T * C);
    scope_end();
}

static void rotary_backward(node *n) {
    const tensor *x = n->in[0];
    bool more;
    float *d = gradient_sink(x, &more);
    if (!d) return;
    turn(n->options, d, n->grad, x->shape[0], x->shape[1], x->shape[2], n->saved, -1.0f, more);
}

tensor *rotary(const tensor *x, rotary_options o) {
    require(x->rank == 3 && o.heads > 0 && x->shape[2] % o.heads == 0);
    int64_t B = x->shape[0], T = x->shape[1], C = x->shape[2], D = C / o.heads;
    if (!o.dims) o.dims = (int) D;
    if (o.base == 0) o.base = 10000.0f;
    require(o.dims % 2 == 0 && o.dims <= D);
    PLACE(x);
    tensor *y = tensor_result(F32, shape_of(x));
    if (!recording()) scope_begin();
    const tensor *wide = x->type == F32 ? x : tensor_to_f32(x);
    const float *table = table_of(&o, T);
    if (device_current()) table = values(placed(tensor_wrap(F32, SHAPE(T * o.dims), (void *) table)));
    turn(&o, y->data, values(wide), B, T, C, table, 1.0f, false);
    if (!recording()) scope_end();
    node *recorded = record(y, rotary_backward, INPUTS(x), &o, sizeof o);
    if (recorded) recorded->saved = table;
    return y;
}
