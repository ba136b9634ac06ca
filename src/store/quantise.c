#include "store/quantise.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "store/entries.h"
#include "tensor/convert.h"

/* --- storing --- */

/* q = round(x / scale) within [low, high] for n elements; the squared error. */
static double try_scale(const float *x, int64_t n, float scale, float low, float high, float *q) {
    double error = 0;
    float inverse = scale != 0 ? 1.0f / scale : 0.0f;
    for (int64_t i = 0; i < n; i++) {
        float r = rintf(x[i] * inverse);
        q[i] = r < low ? low : r > high ? high : r;
        double lost = (double) x[i] - (double) q[i] * scale;
        error += lost * lost;
    }
    return error;
}

static float round_bf16(float x) {
    uint16_t narrow;
    f32_to_bf16(&narrow, &x, 1);
    bf16_to_f32(&x, &narrow, 1);
    return x;
}

/* The scale that loses least of a group, among those that map its largest element to the lowest level or somewhat past it:
 * in few bits clipping a little is better than coarse steps. */
static float best_scale(const float *x, int64_t n, int bits, float *q) {
    enum { TRIES = 13 };
    float extreme = 0, low = -(float) (1 << (bits - 1)), high = -low - 1, best = 0;
    double least = INFINITY;
    for (int64_t i = 0; i < n; i++) extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
    for (int k = 0; k < (bits > 6 ? 1 : TRIES); k++) {
        float scale = round_bf16(extreme / low * (1.0f - 0.03f * (float) k));
        if (!isfinite(scale)) continue;
        double error = try_scale(x, n, scale, low, high, q);
        if (error < least) {
            least = error;
            best = scale;
        }
    }
    try_scale(x, n, best, low, high, q);
    return best;
}

static int64_t row_bytes(int64_t L, int bits) { return L / 8 * bits + (L % 8 * bits + 7) / 8; }

/* `to` is zero. */
static void quantise_row(const float *x, int64_t L, int bits, uint8_t *to, float *scale) {
    float q[QUANTISE_GROUP];
    for (int64_t first = 0; first < L; first += QUANTISE_GROUP) {
        int64_t n = L - first < QUANTISE_GROUP ? L - first : QUANTISE_GROUP;
        scale[first / QUANTISE_GROUP] = best_scale(x + first, n, bits, q);
        for (int64_t i = 0; i < n; i++) {
            int64_t at = (first + i) * bits;
            unsigned value = (unsigned) ((int) q[i] + (1 << (bits - 1))) << at % 8;
            to[at / 8] = (uint8_t) (to[at / 8] | value);
            if (value > 255) to[at / 8 + 1] = (uint8_t) (value >> 8);
        }
    }
}

static void check_finite(const named_tensor *item, const float *x) {
    for (int64_t i = 0; i < count(item->value); i++)
        if (!isfinite(x[i]))
            fail(HISS_ERROR_ARGUMENT, "tensor '%s' holds values that are no numbers: it cannot be stored in few bits",
                 item->name);
}

static bool is_real(dtype t) { return t == F32 || t == BF16 || t == F16 || t == F64; }

bool quantise_worth(const tensor *t) {
    return is_real(t->type) && t->rank >= 2 && count(t) >= QUANTISE_LEAST && count(t) / t->shape[0] >= QUANTISE_GROUP;
}

/* item -> to[0], to[1]. */
static void quantise_one(const named_tensor *item, int bits, named_tensor *to) {
    const tensor *t = item->value;
    int64_t R = t->shape[0], L = count(t) / R, groups = (L + QUANTISE_GROUP - 1) / QUANTISE_GROUP;
    tensor *q = tensor_zero(U8, SHAPE(R, row_bytes(L, bits)));
    tensor *narrow = tensor_new(BF16, SHAPE(R, groups));
    scope_begin();
    const float *x = f32(tensor_to_f32(t));
    float *scale = alloc((size_t) (R * groups) * sizeof *scale);
    check_finite(item, x);
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < R; r++)
        quantise_row(x + r * L, L, bits, (uint8_t *) q->data + r * q->shape[1], scale + r * groups);
    f32_to_bf16(narrow->data, scale, R * groups);
    scope_end();
    to[0] = (named_tensor){item->name, q};
    to[1] = (named_tensor){format("%s.scale", item->name), narrow};
}

static json_t *shape_json(const tensor *t) {
    json_t *dims = json_array();
    for (int i = 0; i < t->rank; i++) json_array_append_new(dims, json_integer((json_int_t) t->shape[i]));
    return dims;
}

named_tensor *quantise_all(const named_tensor *items, size_t *n, const int *bits, json_t *metadata) {
    named_tensor *out = NEW_ARRAY(named_tensor, 2 * *n + 1);
    json_t *description = json_make_object(), *shapes = json_object();
    size_t made = 0;
    json_object_set_new(description, "group", json_integer(QUANTISE_GROUP));
    json_object_set_new(description, "tensors", shapes);
    for (size_t i = 0; i < *n; i++) {
        require(!bits[i] || (bits[i] >= 2 && bits[i] <= 8));
        if (!bits[i]) {
            out[made++] = items[i];
            continue;
        }
        quantise_one(&items[i], bits[i], out + made);
        made += 2;
        json_t *entry = json_object();
        json_object_set_new(entry, "bits", json_integer(bits[i]));
        json_object_set_new(entry, "shape", shape_json(items[i].value));
        json_object_set_new(shapes, items[i].name, entry);
    }
    json_object_set_new(metadata, "quantised", json_string(json_text_compact(description)));
    *n = made;
    return out;
}

/* --- reading --- */

/* The shape the description gives, bounded. */
static shape described_shape(const store *s, const char *name, const json_t *dims) {
    shape given = {.rank = (int) json_array_size(dims)};
    if (json_array_size(dims) < 1 || json_array_size(dims) > MAX_RANK)
        fail(HISS_ERROR_FORMAT, "%s: the quantised tensor '%s' has no possible shape", s->path, name);
    for (int i = 0; i < given.rank; i++) {
        const json_t *d = json_array_get(dims, (size_t) i);
        if (!json_is_integer(d) || json_integer_value(d) < 1 || json_integer_value(d) > INT64_C(1) << 40)
            fail(HISS_ERROR_FORMAT, "%s: the quantised tensor '%s' has no possible shape", s->path, name);
        given.dims[i] = json_integer_value(d);
    }
    return given;
}

static bool is_matrix(const stored *t, int64_t rows, int64_t columns) {
    return t->packed && t->entry.shape.rank == 2 && t->entry.shape.dims[0] == rows && t->entry.shape.dims[1] == columns;
}

static void join_one(store *s, stored *values, stored *scales, shape logical, int bits, int64_t group) {
    const char *name = values->entry.name;
    uint64_t size;
    if (!shape_size(logical, sizeof(float), &size))
        fail(HISS_ERROR_FORMAT, "%s: the quantised tensor '%s' is impossibly large", s->path, name);
    int64_t R = logical.dims[0];
    require(R > 0 && group > 0);
    int64_t L = (int64_t) (size / sizeof(float)) / R;
    if (values->entry.type != U8 || !is_matrix(values, R, row_bytes(L, bits)) || scales->entry.type != BF16 ||
        scales->swap || !is_matrix(scales, R, L / group + (L % group != 0)))
        fail(HISS_ERROR_FORMAT,
             "%s: the quantised tensor '%s' does not fit its shape %s and scales: the file is damaged", s->path, name,
             shape_text(logical));
    values->bits = bits;
    values->group = group;
    values->scales = scales->data;
    values->entry.type = F32;
    values->entry.shape = logical;
    scales->hidden = true;
}

void join_quantised(store *s) {
    const char *text = json_string_value(json_object_get(s->metadata, "quantised")), *name;
    if (!text) return;
    config c = config_parse(text, strlen(text), format("%s: quantised", s->path));
    int64_t group = config_need_int(c, "group", 1, 1 << 20);
    config tensors = config_get(c, "tensors");
    json_t *value;
    if (!json_is_object(tensors.value)) fail(HISS_ERROR_FORMAT, "%s: quantised.tensors is no object", s->path);
    json_object_foreach(tensors.value, name, value) {
        config entry = {.value = value, .where = tensors.where};
        stored *values = find_stored(s, name), *scales = find_stored(s, format("%s.scale", name));
        if (!values || !scales || values == scales || values->bits || scales->bits || scales->hidden || values->hidden)
            fail(HISS_ERROR_FORMAT, "%s: the quantised tensor '%s' or its scales are missing", s->path, name);
        join_one(s, values, scales, described_shape(s, name, config_get(entry, "shape").value),
                 (int) config_need_int(entry, "bits", 2, 8), group);
    }
}

/* Eight elements are `bits` bytes: a word of them at a time, the last few of a row byte by byte. */
CLONES static void read_row(float *restrict to, const uint8_t *restrict from, const float *restrict scale, int64_t L,
                            int64_t group, int bits) {
    const int64_t bytes = row_bytes(L, bits);
    const int mask = (1 << bits) - 1, middle = 1 << (bits - 1);
    for (int64_t i = 0; i < L; i += 8) {
        uint64_t word = 0;
        int64_t at = i / 8 * bits, left = bytes - at;
        memcpy(&word, from + at, left < 8 ? (size_t) left : 8);
        float eight[8];
        for (int k = 0; k < 8; k++) eight[k] = (float) (((int) (word >> k * bits) & mask) - middle);
        int64_t n = L - i < 8 ? L - i : 8;
        if (n == 8 && group % 8 == 0)
            for (int k = 0; k < 8; k++) to[i + k] = eight[k] * scale[i / group];
        else
            for (int64_t k = 0; k < n; k++) to[i + k] = eight[k] * scale[(i + k) / group];
    }
}

void read_quantised(const stored *item, float *to) {
    int64_t R = item->entry.shape.dims[0], L = 1;
    for (int i = 1; i < item->entry.shape.rank; i++) L *= item->entry.shape.dims[i];
    int64_t groups = L / item->group + (L % item->group != 0), bytes = row_bytes(L, item->bits);
    scope_begin();
    uint16_t *narrow = alloc((size_t) (R * groups) * sizeof *narrow); /* the file's may lie at an odd address */
    float *scale = alloc((size_t) (R * groups) * sizeof *scale);
    memcpy(narrow, item->scales, (size_t) (R * groups) * sizeof *narrow);
    bf16_to_f32(scale, narrow, R * groups);
#pragma omp parallel for schedule(static) if (R * L > PARALLEL_MIN)
    for (int64_t r = 0; r < R; r++)
        read_row(to + r * L, item->data + r * bytes, scale + r * groups, L, item->group, item->bits);
    scope_end();
}
