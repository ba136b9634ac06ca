/* Random numbers: hiss's own do not depend on how they are drawn; PyTorch's are its own. The long comparison with PyTorch is the
 * parity cases of torchrng. */
#include "test.h"

#include <math.h>

#include "base/parallel.h"
#include "base/random.h"
#include "base/torch_random.h"

enum { N = 100003 };
static float a[N], b[N];

/* Known answers of the paper's own code: counter and key all zeros, then all ones. */
static void test_philox(void **state) {
    (void) state;
    uint32_t w[4];
    random_words((random_key){0, 0}, 0, w);
    assert_int_equal(w[0], 0x6627e8d5);
    assert_int_equal(w[1], 0xe169c58d);
    assert_int_equal(w[2], 0xbc57ac4c);
    assert_int_equal(w[3], 0x9b00dbd8);
    random_words((random_key){UINT64_MAX, UINT64_MAX}, UINT64_MAX, w);
    assert_int_equal(w[0], 0x408f276d);
}

static void test_any_order(void **state) {
    (void) state;
    const random_key key = {42, 7};
    threads_set(2);
    random_normal(key, 0, a, N);
    threads_set(1);
    for (size_t i = 0; i < N; i += 777) random_normal(key, i, b + i, i + 777 < N ? 777 : N - i);
    assert_memory_equal(a, b, sizeof a);
    double mean = 0, square = 0;
    for (size_t i = 0; i < N; i++) mean += a[i], square += (double) a[i] * a[i];
    assert_true(fabs(mean / N) < 0.02 && fabs(square / N - 1) < 0.02);
}

/* torch.manual_seed(0); torch.randn(5), as its documentation prints. */
static void test_torch(void **state) {
    (void) state;
    const double expected[] = {1.5410, -0.2934, -2.1788, 0.5684, -1.0845};
    torch_random g = {0};
    torch_seed(&g, 0);
    torch_normal(&g, a, 5);
    for (int i = 0; i < 5; i++) assert_true(fabs(a[i] - expected[i]) < 6e-5);
}

/* torch.manual_seed(0); torch.randn(3, device="cuda"). */
static void test_torch_cuda(void **state) {
    (void) state;
    const double expected[] = {-0.92466, -0.42534, -2.64385};
    torch_cuda_random g = {.wave = 132 * 2048};
    torch_cuda_normal(&g, a, 3);
    for (int i = 0; i < 3; i++) assert_true(fabs(a[i] - expected[i]) < 1e-5);
    assert_int_equal(g.offset, 4);
}

static void test_state(void **state) {
    (void) state;
    torch_random g = {0}, h = {0};
    uint8_t bytes[TORCH_STATE_BYTES];
    torch_seed(&g, 5);
    torch_normal(&g, a, 7);
    torch_write_state(&g, bytes);
    torch_read_state(&h, bytes, sizeof bytes);
    torch_normal(&g, a, 100);
    torch_normal(&h, b, 100);
    assert_memory_equal(a, b, 100 * sizeof *a);
}

static void read_short(void *bytes) { torch_read_state(&(torch_random){0}, bytes, 100); }
static void read_damaged(void *bytes) { torch_read_state(&(torch_random){0}, bytes, TORCH_STATE_BYTES); }
static void test_damaged_state(void **state) {
    (void) state;
    uint8_t bytes[TORCH_STATE_BYTES];
    memset(bytes, 0xff, sizeof bytes);
    expect_failure(read_short, bytes, HISS_ERROR_FORMAT, "100 bytes, not 5056");
    expect_failure(read_damaged, bytes, HISS_ERROR_FORMAT, "damaged");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_philox), cmocka_unit_test(test_any_order),
                                       cmocka_unit_test(test_torch),  cmocka_unit_test(test_torch_cuda),
                                       cmocka_unit_test(test_state),  cmocka_unit_test(test_damaged_state)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
