/* Derivatives against central differences along random directions. */
#ifndef HISS_TESTS_GRADIENT_H
#define HISS_TESTS_GRADIENT_H

#include "test.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "tensor/device.h"
#include "tensor/ops.h"

enum { MOST_INPUTS = 4 };

/* An operation under test: shapes of its inputs and how it is called. */
typedef struct {
    const char *name;
    shape inputs[MOST_INPUTS];
    int count;
    tensor *(*call)(tensor **in);
} operation;

static inline tensor *draw(shape s, uint64_t stream) {
    tensor *t = tensor_new(F32, s);
    random_normal((random_key){7, stream}, 0, f32(t), (size_t) count(t));
    return t;
}

/* The mean of (y - target)^2 in double. */
static inline double loss_of(const tensor *y, const tensor *target) {
    double sum = 0;
    for (int64_t i = 0; i < count(y); i++) {
        double d = (double) f32(y)[i] - f32(target)[i];
        sum += d * d;
    }
    return sum / (double) count(y);
}

/* d loss / d direction by central differences. */
static inline double slope_along(const operation *o, tensor **in, int which, const tensor *direction,
                                 const tensor *target) {
    const float h = 2e-4f; /* small: few elements cross the kink of a leaky_relu */
    double side[2];
    for (int s = 0; s < 2; s++) {
        tensor *moved[MOST_INPUTS];
        memcpy(moved, in, sizeof moved);
        moved[which] = tensor_to_f32(in[which]);
        for (int64_t i = 0; i < count(direction); i++) f32(moved[which])[i] += (s ? h : -h) * f32(direction)[i];
        side[s] = loss_of(o->call(moved), target);
    }
    return (side[1] - side[0]) / (2 * (double) h);
}

/* The result and the gradients of all inputs, computed where this thread works. */
static inline tensor *differentiate(const operation *o, tensor **in, const float *gradients[MOST_INPUTS]) {
    tape_begin();
    for (int i = 0; i < o->count; i++) {
        in[i] = draw(o->inputs[i], (uint64_t) i);
        tape_watch(in[i]);
    }
    tensor *y = o->call(in);
    backward(mse_loss(y, draw(shape_of(y), 100)), 1.0f);
    for (int i = 0; i < o->count; i++) {
        gradients[i] = tape_gradient(in[i]);
        assert_non_null(gradients[i]);
    }
    return y;
}

static inline void expect_same(const char *name, const char *what, const float *got, const float *expected, int64_t n) {
    double error = 0, size = 1e-12;
    for (int64_t i = 0; i < n; i++) {
        error += ((double) got[i] - expected[i]) * ((double) got[i] - expected[i]);
        size += (double) expected[i] * expected[i];
    }
    if (sqrt(error / size) <= 2e-5) return;
    print_error("%s on the device: %s differs by %g of its size\n", name, what, sqrt(error / size));
    assert_true(false);
}

/* Values and gradients on the device against the host's, where there is a device. */
static inline void check_on_device(const operation *o) {
    device_open("auto");
    if (!device_opened()) return;
    tensor *in[MOST_INPUTS], *there[MOST_INPUTS];
    const float *expected[MOST_INPUTS], *got[MOST_INPUTS];
    scope_begin();
    tensor *y = differentiate(o, in, expected);
    scope_begin();
    device_begin();
    tensor *z = differentiate(o, there, got);
    expect_same(o->name, "the result", f32(tensor_to_f32(z)), f32(tensor_to_f32(y)), count(y));
    for (int i = 0; i < o->count; i++)
        expect_same(o->name, format("the gradient of input %d", i), got[i], expected[i], count(in[i]));
    scope_end();
    scope_end();
}

static inline void check_operation(const operation *o) {
    precision_set(PRECISION_F32); /* differences are finer than bf16 */
    check_on_device(o);
    scope_begin();
    tensor *in[MOST_INPUTS] = {0};
    for (int i = 0; i < o->count; i++) in[i] = draw(o->inputs[i], (uint64_t) i);
    tape_begin();
    for (int i = 0; i < o->count; i++) tape_watch(in[i]);
    tensor *y = o->call(in);
    tensor *target = draw(shape_of(y), 100);
    backward(mse_loss(y, target), 1.0f);
    for (int i = 0; i < o->count; i++) {
        const float *gradient = tape_gradient(in[i]);
        assert_non_null(gradient);
        tensor *direction = draw(o->inputs[i], 200 + (uint64_t) i);
        double expected = slope_along(o, in, i, direction, target), got = 0, size = 0;
        for (int64_t k = 0; k < count(direction); k++) {
            got += (double) gradient[k] * f32(direction)[k];
            size += fabs((double) gradient[k] * f32(direction)[k]);
        }
        if (!(fabs(got - expected) <= 2e-3 * size + 1e-5)) {
            print_error("%s, input %d: slope %g, expected %g\n", o->name, i, got, expected);
            assert_true(false);
        }
    }
    scope_end();
    precision_set(PRECISION_AUTO);
}

#endif
