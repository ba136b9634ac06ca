/* PyTorch's generators against values that PyTorch 2 printed; those of the CUDA one follow Philox4x32-10 (Salmon et al.
 * 2011). */
#include "test.h"

#include <math.h>

#include "base/torch_random.h"

static torch_random seeded(uint64_t seed) {
    torch_random g = {0};
    torch_seed(&g, seed);
    return g;
}

static void same_floats(const float *got, const float *expected, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (got[i] != expected[i]) fail_msg("value %zu: %a, PyTorch's is %a", i, (double) got[i], (double) expected[i]);
}

/* Through libm, which may differ in the last place between systems. */
static void same_doubles(const double *got, const double *expected, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(fabs(got[i] - expected[i]) < 4e-15)) fail_msg("value %zu: %a, PyTorch's is %a", i, got[i], expected[i]);
}

static void test_words(void **state) {
    (void) state;
    static const struct {
        uint64_t seed;
        int64_t first[2];
    } WORDS[] = {{0, {-8322921849960486353, -5253828890213626688}},
                 {42, {6909045637428952499, -909160480315697906}},
                 {4294967301, {4095051218741643470, -2384568111206373699}},
                 {INT64_MAX, {1800993050274709794, -1616251252548785081}},
                 {UINT64_MAX, {1800993050274709794, -1616251252548785081}}};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        torch_random g = seeded(WORDS[i].seed);
        for (int k = 0; k < 2; k++) assert_true((int64_t) torch_word64(&g) == WORDS[i].first[k]);
    }
    torch_random g = seeded(42);
    uint64_t last = 0;
    for (int i = 0; i < 700; i++) last = torch_word64(&g); /* refilled twice */
    assert_true(last == 8875468292707687244u);
}

/* Calls one after another from one generator: a small draw leaves a normal over, which only small draws take. */
static void test_sequence(void **state) {
    (void) state;
    float x[20];
    double y[20];
    torch_random g = seeded(42);
    torch_normal(&g, x, 1);
    torch_normal(&g, x + 1, 1);
    torch_normal(&g, x + 2, 5);
    same_floats(x,
                (float[]){0x1.58c55cp-2f, 0x1.07cd3ap-3f, 0x1.e02dcep-3f, 0x1.d7b8d8p-3f, -0x1.1f7384p0f,
                          -0x1.7d99bp-3f, 0x1.1aa658p1f},
                7);
    torch_normal(&g, x, 16);
    same_floats(x,
                (float[]){0x1.a46ee2p0f, -0x1.46db0ap-3f, -0x1.fd55c8p-2f, 0x1.c223bp-2f, -0x1.8429c4p-1f, 0x1.140cap0f,
                          0x1.9a0288p-1f, 0x1.ae3d26p0f, 0x1.4774b2p0f, 0x1.4be25ep0f, 0x1.388f1p-1f, 0x1.55b16p0f,
                          -0x1.da5ddap-3f, 0x1.5618p-5f, -0x1.019cf4p-2f, 0x1.b83f6p-1f},
                16);
    torch_normal(&g, x, 2);
    same_floats(x, (float[]){-0x1.46a78cp-1f, 0x1.527772p0f}, 2);
    torch_normal(&g, x, 17);
    same_floats(x,
                (float[]){0x1.46889p-2f, 0x1.30fd9p0f, -0x1.a0c59cp-1f, -0x1.78d40cp-1f, -0x1.ac9b9ap-1f,
                          -0x1.d84382p-1f, 0x1.cfb286p0f, 0x1.48d644p-3f, 0x1.781008p-2f, 0x1.d8375p0f, -0x1.2f3dd8p0f,
                          0x1.62304ap0f, -0x1.33d37ap0f, 0x1.6a665ep-1f, -0x1.136d42p0f, 0x1.124154p-1f, 0x1.2ce4e6p0f},
                17);
    for (int i = 0; i < 3; i++) x[i] = torch_uniform(&g);
    same_floats(x, (float[]){0x1.9d4068p-3f, 0x1.e641e2p-1f, 0x1.554ff2p-1f}, 3);
    torch_normal(&g, x, 1);
    same_floats(x, (float[]){0x1.a266b2p-1f}, 1);
    torch_normal_double(&g, y, 3);
    same_doubles(y, (double[]){0x1.32bfb4139212bp-3, -0x1.abd09355d24e8p-3, -0x1.8c4f381343fcfp-2}, 3);
    torch_normal(&g, x, 1);
    same_floats(x, (float[]){0x1.fb8384p-1f}, 1);
    torch_normal_double(&g, y, 20);
    same_doubles(
        y, (double[]){-0x1.37a7e81c04e7ap0, -0x1.c74691d64e493p-2, -0x1.11857c7112068p-2, -0x1.9fa99419a36f4p-1}, 4);
    same_doubles(y + 18, (double[]){-0x1.15113ebbb6b72p0, 0x1.6fc59257eab69p-4}, 2);
    for (int i = 0; i < 4; i++) assert_int_equal(torch_integer(&g, 0, 100), ((int[]){96, 98, 32, 77})[i]);
    torch_normal(&g, x, 1);
    same_floats(x, (float[]){0x1.181d4ap-1f}, 1);
}

static void test_without_avx2(void **state) {
    (void) state;
    float x[4000], expected[] = {0x1.ed4a4ep0f, 0x1.7cbea8p0f, 0x1.cd2acep-1f, -0x1.0d81bap1f};
    torch_random g = {.libm = true};
    torch_seed(&g, 42);
    torch_normal(&g, x, 4000);
    for (int i = 0; i < 4; i++) assert_true(fabsf(x[i] - expected[i]) < 1e-6f);
}

static void test_data_order(void **state) {
    (void) state;
    static const int64_t EPOCHS[2][10] = {{8, 0, 9, 1, 4, 5, 6, 3, 2, 7}, {4, 6, 9, 3, 7, 5, 2, 0, 1, 8}};
    torch_random g = seeded(42);
    for (int e = 0; e < 2; e++) {
        int64_t order[10];
        torch_data_order(&g, order, 10);
        assert_memory_equal(order, EPOCHS[e], sizeof order);
    }
}

typedef struct {
    torch_random g;
    const uint8_t *bytes;
    size_t size;
} reading;

static void read_state(void *context) {
    reading *r = context;
    torch_read_state(&r->g, r->bytes, r->size);
}

static void test_state(void **state) {
    (void) state;
    uint8_t bytes[TORCH_STATE_BYTES];
    float rest[40], again[40];
    torch_random g = seeded(7);
    torch_normal(&g, rest, 35);
    torch_normal(&g, rest, 3); /* leaves a normal over */
    torch_write_state(&g, bytes);
    torch_normal(&g, rest, 5);
    torch_normal(&g, rest + 5, 35);
    reading r = {.bytes = bytes, .size = sizeof bytes};
    read_state(&r);
    torch_normal(&r.g, again, 5);
    torch_normal(&r.g, again + 5, 35);
    assert_memory_equal(rest, again, sizeof rest);
    r.size = 16;
    expect_failure(read_state, &r, HISS_ERROR_FORMAT, "16 bytes, not 5056");
    r.size = sizeof bytes;
    bytes[17] = 0xff; /* the position, far outside the words */
    expect_failure(read_state, &r, HISS_ERROR_FORMAT, "damaged");
}

static void test_cuda(void **state) {
    (void) state;
    uint32_t w[4];
    torch_cuda_words(0, 0, 0, w);
    assert_memory_equal(w, ((uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}), sizeof w);
    float x[1000], expected[] = {0x1.8d59c4p-3f, 0x1.14a7e6p1f, -0x1.605c12p-3f, 0x1.b2b8p-1f};
    torch_cuda_random g = {.seed = 42, .wave = 132 * 2048};
    torch_cuda_normal(&g, x, 1000);
    for (int i = 0; i < 4; i++) assert_true(fabsf(x[i] - expected[i]) < 2e-6f);
    assert_int_equal(g.offset, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words),        cmocka_unit_test(test_sequence),
                                       cmocka_unit_test(test_without_avx2), cmocka_unit_test(test_data_order),
                                       cmocka_unit_test(test_state),        cmocka_unit_test(test_cuda)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
