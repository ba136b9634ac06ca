/* Time windows give what the whole sound gives, at every length and hop. */
#include "test.h"

#include "systems/window.h"

typedef struct {
    int64_t total, longest;
} seen;

/* Sum of the neighbours up to 3 away on each side: a network with a halo of 3. Knows the sound's ends by its place. */
static tensor *neighbours(void *context, const tensor *x, int64_t first) {
    seen *s = context;
    int64_t B = x->shape[0], n = x->shape[1];
    assert_true(first >= 0 && first + n <= s->total);
    if (n > s->longest) s->longest = n;
    tensor *y = tensor_zero(F32, SHAPE(B, n));
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = i - 3; j <= i + 3; j++)
                if (j >= 0 && j < n) f32(y)[b * n + i] += f32(x)[b * n + j] * (float) (j - i + 4);
    return y;
}

static void check(int64_t T, window w) {
    scope_begin();
    tensor *x = tensor_new(F32, SHAPE(2, T));
    for (int64_t i = 0; i < 2 * T; i++) f32(x)[i] = (float) (i * 7 % 23);
    seen whole = {T, 0}, parts = {T, 0};
    tensor *a = neighbours(&whole, x, 0), *b = predict_in_windows(w, x, neighbours, &parts);
    for (int64_t i = 0; i < 2 * T; i++) assert_true(f32(a)[i] == f32(b)[i]);
    if (T > 200) assert_true(parts.longest < T);
    scope_end();
}

static void test_windows(void **state) {
    (void) state;
    for (int64_t T = 1; T < 80; T++) check(T, (window){10, 3, 1});
    for (int64_t frames = 1; frames < 80; frames++) check(frames * 4, (window){10, 3, 4});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_windows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
