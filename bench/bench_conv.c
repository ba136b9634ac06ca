/* The convolutions of DiffWave and WaveGrad one by one: forward, gradient of the input, gradient of the weights. */
#include <string.h>

#include "bench.h"
#include "tensor/cpu/conv1d.h"

typedef struct {
    int64_t time, in, out;
    int kernel, dilation;
} shape_1d;

/* Times are those of 3 s at 22.05 kHz and of WaveGrad's lower rates. */
static const shape_1d shapes[] = {
    {65536, 64, 128, 3, 1},  {65536, 64, 128, 3, 2},   {65536, 64, 128, 3, 4},  {65536, 64, 128, 3, 8},
    {65536, 64, 128, 3, 64}, {65536, 64, 128, 3, 512}, {65536, 80, 128, 1, 1},  {65536, 64, 128, 1, 1},
    {65536, 64, 64, 1, 1},   {65536, 64, 1, 1, 1},     {1090, 768, 512, 3, 1},  {5450, 512, 512, 3, 2},
    {16350, 512, 256, 3, 1}, {16350, 256, 256, 3, 4},  {32700, 128, 128, 3, 8}, {65400, 128, 128, 3, 1},
    {65400, 128, 128, 3, 2}, {65400, 128, 128, 3, 4},  {65400, 128, 128, 3, 8}, {65400, 1, 32, 5, 1},
    {65400, 128, 1, 3, 1},   {65400, 32, 256, 3, 1},
};

typedef struct {
    conv1d_problem c;
    void *x, *dy;
    tensor *w;
    float *bias, *y, *dx, *dw, *db;
} operation;

static void forward(void *context) {
    operation *o = context;
    conv1d_forward(&o->c, o->x, o->w, o->bias, o->y);
}

static void backward_data(void *context) {
    operation *o = context;
    conv1d_backward_data(&o->c, o->dy, o->w, o->dx, false);
}

static void backward_weights(void *context) {
    operation *o = context;
    conv1d_backward_weights(&o->c, o->x, o->dy, o->dw, o->db);
}

static void bench_shape(const shape_1d *s, dtype type) {
    scope *home = scope_begin();
    int64_t weights = s->out * s->in * s->kernel;
    param p = {.name = "w", .value = tensor_new(F32, SHAPE(s->out, s->in, s->kernel)), .version = 1, .home = home};
    p.value->param = &p;
    memcpy(p.value->data, random_floats(weights, 0.1f), (size_t) weights * sizeof(float));
    operation o = {.c = {.batch = 1,
                         .in_time = s->time,
                         .in_c = s->in,
                         .out_time = s->time,
                         .out_c = s->out,
                         .kernel = s->kernel,
                         .stride = 1,
                         .dilation = s->dilation,
                         .pad_left = s->kernel / 2 * s->dilation,
                         .in = type,
                         .out = F32,
                         .bias = true},
                   .x = random_operand(s->time * s->in, 1, type),
                   .dy = random_operand(s->time * s->out, 1, type),
                   .w = p.value,
                   .bias = random_floats(s->out, 1),
                   .y = NEW_ARRAY(float, s->time * s->out),
                   .dx = NEW_ARRAY(float, s->time * s->in),
                   .dw = NEW_ARRAY(float, weights),
                   .db = NEW_ARRAY(float, s->out)};
    double gflop = 2e-9 * (double) weights * (double) s->time;
    static const struct {
        const char *suffix;
        void (*body)(void *);
    } works[] = {{"", forward}, {", dx", backward_data}, {", dw", backward_weights}};
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        measure(format("%lld -> %lld k%d d%d, %lld rows%s", (long long) s->in, (long long) s->out, s->kernel,
                       s->dilation, (long long) s->time, works[i].suffix),
                gflop, works[i].body, &o);
    }
    scope_end();
}

void bench_conv(void) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) bench_shape(&shapes[i], operands());
}
