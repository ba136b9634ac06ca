/* Parity with PyTorch's generators: each case draws as its outputs' names and descriptions say. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/torch_random.h"
#include "parity.h"

/* A seed in decimal, negative ones as PyTorch wraps them. */
static uint64_t seed_of(const char *text) {
    return *text == '-' ? (uint64_t) strtoll(text, NULL, 10) : strtoull(text, NULL, 10);
}

static config input_value(const parity_case *c, const char *name) {
    return config_get(config_get(config_get(parity_info(c), "inputs"), name), "value");
}

static size_t seed_count(const parity_case *c) { return config_count(input_value(c, "seeds")); }

static torch_random seeded(const parity_case *c, size_t i, bool libm) {
    torch_random g = {.libm = libm};
    torch_seed(&g, seed_of(json_string_value(config_at(input_value(c, "seeds"), i).value)));
    return g;
}

static torch_random seeded_once(const parity_case *c) {
    torch_random g = {0};
    torch_seed(&g, seed_of(json_string_value(input_value(c, "seed").value)));
    return g;
}

static int64_t size_of(const parity_case *c, const char *name) { return count(parity_expected(c, name)); }

/* --- draws as tensors --- */

static tensor *randn(torch_random *g, int64_t n, dtype t) {
    tensor *x = tensor_new(t == F64 ? F64 : F32, SHAPE(n));
    if (t == F64) torch_normal_double(g, x->data, (size_t) n);
    else if (t == F32) torch_normal(g, f32(x), (size_t) n);
    else torch_normal_half(g, f32(x), (size_t) n);
    return tensor_convert(x, t);
}

static tensor *rand_tensor(torch_random *g, int64_t n, dtype t) {
    tensor *x = tensor_new(t == F64 ? F64 : F32, SHAPE(n));
    if (t == F64)
        for (int64_t i = 0; i < n; i++) ((double *) x->data)[i] = torch_uniform_double(g);
    else
        for (int64_t i = 0; i < n; i++) f32(x)[i] = torch_uniform(g);
    if (t == F64 || t == F32) return x;
    x = tensor_to_f32(tensor_convert(x, t));
    for (int64_t i = 0; i < n; i++)
        if (f32(x)[i] == 1) f32(x)[i] = 0;
    return tensor_convert(x, t);
}

static tensor *randint(torch_random *g, int64_t low, int64_t high, int64_t n) {
    tensor *x = tensor_new(I64, SHAPE(n));
    for (int64_t i = 0; i < n; i++) ((int64_t *) x->data)[i] = torch_integer(g, low, high);
    return x;
}

static tensor *randperm(torch_random *g, int64_t n) {
    tensor *x = tensor_new(I64, SHAPE(n));
    torch_permutation(g, x->data, (size_t) n);
    return x;
}

static tensor *words(torch_random *g, int64_t n, uint64_t mask) {
    tensor *x = tensor_new(I64, SHAPE(n));
    for (int64_t i = 0; i < n; i++) ((int64_t *) x->data)[i] = (int64_t) (torch_word64(g) & mask);
    return x;
}

/* Elements from, from + step, ... of x. */
static tensor *pick(const tensor *x, int64_t from, int64_t step, int64_t n) {
    tensor *y = tensor_new(x->type, SHAPE(n));
    size_t size = dtype_size(x->type);
    for (int64_t i = 0; i < n; i++)
        memcpy((char *) y->data + (size_t) i * size, (char *) x->data + (size_t) (from + i * step) * size, size);
    return y;
}

/* x whole, or thinned out as the end of the output's name says: _head, _tail, _every97. */
static void compare_thinned(parity_case *c, const char *name, const tensor *x, int64_t step) {
    int64_t n = size_of(c, name);
    if (strstr(name, "_head")) x = pick(x, 0, 1, n);
    else if (strstr(name, "_tail")) x = pick(x, count(x) - n, 1, n);
    else if (strstr(name, "_every")) x = pick(x, 0, step, n);
    parity_out(c, name, x);
}

/* --- cases --- */

static void run_raw_words(parity_case *c) {
    for (size_t s = 0; s < seed_count(c); s++) {
        torch_random g = seeded(c, s, false);
        char *name = format("s%zu", s);
        parity_out(c, name, words(&g, size_of(c, name), UINT64_MAX));
    }
}

static void run_randn(parity_case *c) {
    const char *name, *part = config_string(parity_info(c), "part", "");
    json_t *about;
    json_object_foreach(config_get(parity_info(c), "outputs").value, name, about) {
        size_t s = strtoul(name + 1, NULL, 10);
        const char *n = strstr(name, "_n");
        torch_random g = seeded(c, s, !strcmp(part, "randn_f32_no_avx2"));
        tensor *x = randn(&g, n ? strtoll(n + 2, NULL, 10) : size_of(c, name), parity_expected(c, name)->type);
        compare_thinned(c, name, x, 97);
    }
}

static void run_other_draws(parity_case *c) {
    for (size_t s = 0; s < seed_count(c); s++) {
        torch_random g = seeded(c, s, false);
#define OUT(name, value) parity_out(c, format("s%zu_" name, s), value)
        OUT("a_rand", rand_tensor(&g, 40, F32));
        OUT("b_rand64", rand_tensor(&g, 40, F64));
        OUT("c_rand_float16", rand_tensor(&g, 3000, F16));
        OUT("c_rand_bfloat16", rand_tensor(&g, 3000, BF16));
        OUT("d_randint", randint(&g, 0, 100, 50));
        OUT("e_randint_neg", randint(&g, -5, 7, 21));
        OUT("f_randint_below", randint(&g, 0, (1 << 28) - 1, 20));
        OUT("g_randint_above", randint(&g, 0, 1 << 28, 20));
        OUT("h_randint_big", randint(&g, 0, INT64_C(1) << 40, 20));
        OUT("i_randperm", randperm(&g, 100));
        OUT("j_randperm", randperm(&g, 1001));
        OUT("k_random_i64", words(&g, 10, INT64_MAX));
        tensor *x = tensor_new(F32, SHAPE(100));
        for (int i = 0; i < 100; i++) f32(x)[i] = torch_uniform_double(&g) < 0.3;
        OUT("l_bernoulli", x);
        x = tensor_new(F32, SHAPE(200));
        for (int i = 0; i < 200; i++) f32(x)[i] = torch_uniform_double(&g) < 0.7 ? (float) (1 / 0.7) : 0;
        OUT("m_dropout", x);
        x = tensor_new(F32, SHAPE(20));
        for (int i = 0; i < 20; i++) f32(x)[i] = (float) torch_exponential(&g, 1);
        OUT("n_exponential", x);
        x = tensor_new(F32, SHAPE(37));
        torch_normal_scaled(&g, 0.5f, 3, f32(x), 37);
        OUT("o_mean_std", x);
#undef OUT
    }
}

/* The call is in the name: c05_randn_17, c14_randn16_21, c11_randint_4, ... */
static void run_sequence(parity_case *c) {
    torch_random g = seeded_once(c);
    const char *name;
    json_t *about;
    json_object_foreach(config_get(parity_info(c), "outputs").value, name, about) {
        tensor *expected = parity_expected(c, name), *x;
        int64_t n = count(expected);
        const char *call = strchr(name, '_') + 1;
        if (!strncmp(call, "randn", 5)) x = randn(&g, n, expected->type);
        else if (!strncmp(call, "randint", 7)) x = randint(&g, 0, 100, n);
        else if (!strncmp(call, "randperm", 8)) x = randperm(&g, n);
        else x = rand_tensor(&g, n, expected->type);
        parity_out(c, name, x);
    }
}

static void run_shapes(parity_case *c) {
    static const char *const PLAIN[] = {"a_2x3", "b_4x4", "c_2x3x7", "d_1x64x33", "e_randn_like", "h_after_empty"};
    for (size_t i = 0; i < sizeof PLAIN / sizeof *PLAIN; i++) {
        torch_random g = seeded_once(c);
        torch_normal(&g, NULL, 0);
        parity_out(c, PLAIN[i], randn(&g, size_of(c, PLAIN[i]), F32));
    }
    torch_random g = seeded_once(c);
    tensor *x = tensor_new(F32, SHAPE(40, 3));
    for (int i = 0; i < 120; i++) f32(x)[i % 40 * 3 + i / 40] = (float) torch_normal_one(&g);
    parity_out(c, "f_randn_like_t", x);
    g = seeded_once(c);
    x = tensor_zero(F32, SHAPE(4, 40));
    for (int i = 0; i < 160; i += 2) f32(x)[i] = (float) torch_normal_one(&g);
    parity_out(c, "g_sliced", x);
}

static void run_data_order(parity_case *c) {
    torch_random g = seeded_once(c);
    int64_t n = json_integer_value(input_value(c, "n").value);
    for (int epoch = 0; parity_has_out(c, format("epoch%d", epoch)); epoch++) {
        tensor *x = tensor_new(I64, SHAPE(n));
        torch_data_order(&g, x->data, (size_t) n);
        parity_out(c, format("epoch%d", epoch), x);
    }
}

static void run_state(parity_case *c) {
    torch_random g = {0};
    tensor *state = parity_in(c, "state");
    torch_read_state(&g, state->data, tensor_bytes(state));
    uint8_t again[TORCH_STATE_BYTES];
    torch_write_state(&g, again);
    if (memcmp(again, state->data, sizeof again))
        fail(HISS_ERROR_FORMAT, "the state written differs from the one read");
    parity_out(c, "small", randn(&g, size_of(c, "small"), F32));
    parity_out(c, "large", randn(&g, size_of(c, "large"), F32));
    parity_out(c, "words", words(&g, size_of(c, "words"), UINT64_MAX));
}

static void run_cuda_seed(parity_case *c, size_t s, uint64_t seed) {
    torch_cuda_random g = {.seed = seed, .wave = 132 * 2048};
    tensor *x = tensor_new(F32, SHAPE(1000));
    torch_cuda_normal(&g, f32(x), 1000);
    parity_out(c, format("s%zu_n1000", s), x);
    torch_cuda_normal(&g, f32(x), 1000);
    parity_out(c, format("s%zu_n1000_again", s), x);
    g.offset = 0;
    x = tensor_new(F32, SHAPE(100));
    torch_cuda_uniform(&g, f32(x), 100);
    parity_out(c, format("s%zu_rand100", s), x);
    g.offset = 0;
    x = tensor_new(F64, SHAPE(100));
    torch_cuda_normal_double(&g, x->data, 100);
    parity_out(c, format("s%zu_double100", s), x);
}

static void run_cuda(parity_case *c) {
    static const uint64_t AT[5][2] = {{0, 0}, {1, 0}, {0, 1}, {5, 70000}, {(UINT64_C(1) << 32) + 3, 9}};
    static const struct {
        const char *name;
        uint64_t wave;
    } GPUS[] = {{"a100", 108 * 2048}, {"h100sxm", 132 * 2048}, {"rtx3090", 82 * 1536}, {"t4", 40 * 1024}};
    tensor *all = tensor_new(I64, SHAPE(20, 4));
    for (size_t s = 0; s < 4; s++) {
        uint64_t seed = seeded(c, s, false).seed;
        for (int i = 0; i < 5; i++) {
            uint32_t w[4];
            torch_cuda_words(seed, AT[i][0], AT[i][1], w);
            for (int k = 0; k < 4; k++) ((int64_t *) all->data)[(s * 5 + (size_t) i) * 4 + (size_t) k] = w[k];
        }
        run_cuda_seed(c, s, seed);
    }
    parity_out(c, "philox_words", all);
    for (size_t i = 0; i < sizeof GPUS / sizeof *GPUS; i++) {
        static const char *const ENDS[] = {"head", "tail", "every97"};
        torch_cuda_random g = {.seed = seeded(c, 1, false).seed, .wave = GPUS[i].wave};
        tensor *x = tensor_new(F32, SHAPE(2000003));
        torch_cuda_normal(&g, f32(x), 2000003);
        for (int k = 0; k < 3; k++) compare_thinned(c, format("%s_n2000003_%s", GPUS[i].name, ENDS[k]), x, 97 * 31);
    }
}

const parity_row PARITY_TORCHRNG[] = {{"torchrng", "raw_words", run_raw_words},
                                      {"torchrng", "randn_f32", run_randn},
                                      {"torchrng", "randn_f64", run_randn},
                                      {"torchrng", "randn_f16", run_randn},
                                      {"torchrng", "randn_bf16", run_randn},
                                      {"torchrng", "randn_f32_no_avx2", run_randn},
                                      {"torchrng", "other_draws", run_other_draws},
                                      {"torchrng", "sequence", run_sequence},
                                      {"torchrng", "shapes", run_shapes},
                                      {"torchrng", "data_order", run_data_order},
                                      {"torchrng", "state", run_state},
                                      {"torchrng", "cuda_philox", run_cuda},
                                      {0}};
