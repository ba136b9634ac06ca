/* 2-D convolution of planes [B, H, W, C] by oneDNN, on the host: no device has it. Matrix operands in operands(), sums in F32. */
#include "tensor/cpu/dnn.h"
#include "tensor/node.h"
#include "tensor/ops.h"

static const void *as_operand(const tensor *x, dtype type) { return placed_as(x, type)->data; }

static void conv2d_backward(node *n) {
    const conv_problem *c = n->options;
    const tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    const void *dy = as_operand(tensor_there(n->grad, n->out), c->in);
    bool more;
    float *dx = gradient_sink(x, &more);
    if (dx) {
        float *made = more ? alloc((size_t) count(x) * sizeof *made) : dx;
        conv_backward_data(c, dy, w, made, F32);
        if (more) add_to(dx, made, count(x));
    }
    float *dw = gradient_sum(w), *db = gradient_sum(b);
    float *unused = dw || !db ? NULL : NEW_ARRAY(float, count(w));
    if (dw || db) conv_backward_weights(c, as_operand(x, c->in), dy, dw ? dw : unused, db);
}

static int32_t one_or(int given) { return given ? given : 1; }

static int64_t length_after(int64_t in, int pad, int kernel, int dilation, int stride) {
    return (in + 2 * (int64_t) pad - (int64_t) dilation * (kernel - 1) - 1) / stride + 1;
}

tensor *conv2d(const tensor *x, const tensor *w, const tensor *b, conv2d_options o) {
    require(x->rank == 4 && w->rank == 4 && w->shape[1] == x->shape[3]);
    conv_problem c = {.batch = x->shape[0],
                      .in_h = x->shape[1],
                      .in_w = x->shape[2],
                      .in_c = x->shape[3],
                      .out_c = w->shape[0],
                      .kernel_h = (int32_t) w->shape[2],
                      .kernel_w = (int32_t) w->shape[3],
                      .stride_h = one_or(o.stride[0]),
                      .stride_w = one_or(o.stride[1]),
                      .dilation_h = one_or(o.dilation[0]),
                      .dilation_w = one_or(o.dilation[1]),
                      .pad_h = o.pad[0],
                      .pad_w = o.pad[1],
                      .groups = 1,
                      .in = operands(),
                      .out = F32,
                      .bias = b != NULL};
    c.out_h = length_after(c.in_h, c.pad_h, c.kernel_h, c.dilation_h, c.stride_h);
    c.out_w = length_after(c.in_w, c.pad_w, c.kernel_w, c.dilation_w, c.stride_w);
    require(c.out_h > 0 && c.out_w > 0);
    x = brought(x), w = brought(w), b = brought(b);
    const bool was = device_switch(false);
    tensor *y = tensor_new(F32, SHAPE(c.batch, c.out_h, c.out_w, c.out_c));
    if (!recording()) scope_begin();
    conv_forward(&c, as_operand(x, c.in), w, b ? f32(b) : NULL, y->data);
    if (!recording()) scope_end();
    record(y, conv2d_backward, INPUTS(x, w, b), &c, sizeof c);
    device_switch(was);
    return y;
}
