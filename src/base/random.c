/* Philox4x32-10: ten rounds of two 32 x 32 -> 64 bit products that mix a counter with a key. The key is (seed, mixed with
 * the stream), the counter the block's number and the stream. */
#include "base/random.h"

#include <math.h>

#include "base/parallel.h"

enum { ROUNDS = 10, BLOCK = 4 };

static void philox(uint32_t counter[4], uint32_t key0, uint32_t key1) {
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t p0 = (uint64_t) 0xD2511F53u * counter[0], p1 = (uint64_t) 0xCD9E8D57u * counter[2];
        uint32_t next[4] = {(uint32_t) (p1 >> 32) ^ counter[1] ^ key0, (uint32_t) p1,
                            (uint32_t) (p0 >> 32) ^ counter[3] ^ key1, (uint32_t) p0};
        for (int k = 0; k < 4; k++) counter[k] = next[k];
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

void random_words(random_key key, uint64_t block, uint32_t out[4]) {
    out[0] = (uint32_t) block;
    out[1] = (uint32_t) (block >> 32);
    out[2] = (uint32_t) key.stream;
    out[3] = (uint32_t) (key.stream >> 32);
    philox(out, (uint32_t) key.seed, (uint32_t) (key.seed >> 32));
}

random_key random_child(random_key key, uint64_t index) {
    uint32_t words[4];
    random_words((random_key){key.seed ^ 0x6A09E667F3BCC909u, key.stream}, index,
                 words); /* apart from the values drawn */
    return (random_key){(uint64_t) words[1] << 32 | words[0], (uint64_t) words[3] << 32 | words[2]};
}

double random_uniform(random_key key, uint64_t index) {
    uint32_t words[4];
    random_words(key, index, words);
    return (double) (((uint64_t) words[0] << 32 | words[1]) >> 11) * 0x1p-53;
}

uint64_t random_below(random_key key, uint64_t index, uint64_t n) {
    uint32_t words[4];
    random_words(key, index, words);
    return (uint64_t) (((unsigned __int128) ((uint64_t) words[0] << 32 | words[1]) * n) >> 64);
}

/* Four normals of one block: two Box-Muller pairs, u in (0, 1]. */
static void normals(random_key key, uint64_t block, float out[BLOCK]) {
    uint32_t words[4];
    random_words(key, block, words);
    for (int pair = 0; pair < 2; pair++) {
        float u = ((float) (words[2 * pair] >> 8) + 1.0f) * 0x1p-24f;
        float angle = (float) (words[2 * pair + 1] >> 8) * (float) (2 * M_PI * 0x1p-24);
        float radius = sqrtf(-2.0f * logf(u));
        out[2 * pair] = radius * cosf(angle);
        out[2 * pair + 1] = radius * sinf(angle);
    }
}

void random_normal(random_key key, uint64_t first, float *out, size_t count) {
    uint64_t last = first + count;
    int64_t from = (int64_t) (first / BLOCK), to = (int64_t) ((last + BLOCK - 1) / BLOCK);
#pragma omp parallel for schedule(static) if (count > PARALLEL_MIN)
    for (int64_t block = from; block < to; block++) {
        float values[BLOCK];
        normals(key, (uint64_t) block, values);
        for (int k = 0; k < BLOCK; k++) {
            uint64_t at = (uint64_t) block * BLOCK + (uint64_t) k;
            if (at >= first && at < last) out[at - first] = values[k];
        }
    }
}
