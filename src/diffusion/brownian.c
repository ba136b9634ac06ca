/* A Brownian path as a tree: an interval's increment is split at its middle by a normal of the node's own seed. Times are
 * multiples of 1e-6. */
#include "diffusion/brownian.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/torch_random.h"

/* --- numpy's SeedSequence: O'Neill's seed_seq_fe --- */

enum { POOL = 24, MOST_WORDS = POOL + 4 };

static uint32_t hash(uint32_t value, uint32_t *constant, uint32_t factor) {
    value ^= *constant;
    *constant *= factor;
    value *= *constant;
    return value ^ value >> 16;
}

static uint32_t blend(uint32_t x, uint32_t y) {
    uint32_t both = 0xca01f9ddu * x - 0x4973f715u * y;
    return both ^ both >> 16;
}

/* As many 32-bit words as the number has, at least one. */
static int append(uint32_t *words, int count, uint64_t number) {
    words[count++] = (uint32_t) number;
    if (number >> 32) words[count++] = (uint32_t) (number >> 32);
    return count;
}

uint32_t seed_sequence(uint64_t entropy, bool spawned, uint64_t key, uint64_t depth) {
    uint32_t words[MOST_WORDS] = {0}, pool[POOL], constant = 0x43b0d7e5u;
    int count = append(words, 0, entropy);
    if (spawned) count = append(words, append(words, POOL, key), depth);
    for (int i = 0; i < POOL; i++) pool[i] = hash(i < count ? words[i] : 0, &constant, 0x931e8875u);
    for (int from = 0; from < POOL; from++)
        for (int to = 0; to < POOL; to++)
            if (from != to) pool[to] = blend(pool[to], hash(pool[from], &constant, 0x931e8875u));
    for (int from = POOL; from < count; from++)
        for (int to = 0; to < POOL; to++) pool[to] = blend(pool[to], hash(words[from], &constant, 0x931e8875u));
    constant = 0x8b51f9ddu;
    return hash(pool[0], &constant, 0x58f38dedu);
}

/* --- the tree --- */

typedef struct {
    double first, last;
    uint64_t key, depth;
} node;

typedef struct {
    const brownian *path;
    double from, to;
    int64_t n;
    float *sum;
} query;

/* To six decimals of the exact value, as Python's round: middles lie on ties that a product would not tell. */
static double rounded(double time) {
    char words[400];
    snprintf(words, sizeof words, "%.6f", time);
    return strtod(words, NULL);
}

static void normals(const brownian *path, uint32_t seed, float *out, int64_t n) {
    if (path->wave) {
        torch_cuda_normal(&(torch_cuda_random){seed, 0, path->wave}, out, (size_t) n);
        return;
    }
    torch_random *g = NEW(torch_random);
    torch_seed(g, seed);
    torch_normal(g, out, (size_t) n);
}

/* Adds what the node's increment W has between the times asked for. */
static void collect(const query *q, node at, const float *W) {
    if (at.last <= q->from || at.first >= q->to) return;
    if (q->from <= at.first && at.last <= q->to) {
        for (int64_t i = 0; i < q->n; i++) q->sum[i] += W[i];
        return;
    }
    scope_begin();
    double middle = rounded((at.first + at.last) / 2), h = at.last - at.first, l = middle - at.first,
           r = at.last - middle;
    float *left = alloc((size_t) q->n * sizeof(float)), share = (float) (l / h), spread = (float) sqrt(l * r / h);
    normals(q->path, seed_sequence(q->path->entropy, true, at.key, at.depth), left, q->n);
    for (int64_t i = 0; i < q->n; i++) left[i] = W[i] * share + spread * left[i];
    collect(q, (node){at.first, middle, 2 * at.key, at.depth + 1}, left);
    for (int64_t i = 0; i < q->n; i++) left[i] = W[i] - left[i]; /* now the right one */
    collect(q, (node){middle, at.last, 2 * at.key + 1, at.depth + 1}, left);
    scope_end();
}

void brownian_draw(void *context, double from, double to, float *z, int64_t n) {
    const brownian *path = context;
    from = (double) (float) from, to = (double) (float) to; /* as levels are kept there */
    query q = {path, rounded(fmin(from, to)), rounded(fmax(from, to)), n, z};
    node root = {rounded(path->least), rounded(path->most), 0, 0};
    memset(z, 0, (size_t) n * sizeof(float));
    if (q.to <= q.from) return;
    scope_begin();
    float *W = alloc((size_t) n * sizeof(float));
    normals(path, seed_sequence(path->entropy, false, 0, 0), W, n);
    for (int64_t i = 0; i < n; i++) W[i] *= (float) sqrt(root.last - root.first);
    collect(&q, root, W);
    scope_end();
    for (int64_t i = 0; i < n; i++) z[i] *= (float) ((to < from ? -1 : 1) / sqrt(fabs(to - from)));
}
