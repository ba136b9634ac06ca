/* 1-D convolution and linear layers: matrix operands in operands(), sums in F32. */
#include "tensor/cpu/conv1d.h"
#include "tensor/cpu/int8.h"
#include "tensor/node.h"
#include "tensor/ops.h"
#include "tensor/reduce.h"
#include "tensor/unfolded.h"

/* x, or a copy of it, in the type of matrix operands. */
static const void *as_operand(const tensor *x, dtype type) { return placed_as(x, type)->data; }

static const void *gradient_as(const node *n, dtype type) { return as_operand(tensor_there(n->grad, n->out), type); }

/* --- conv1d --- */

static void forward(const conv1d_problem *c, const void *x, const tensor *w, const tensor *b, void *y) {
    if (device_current()) unfolded_forward(c, x, w, values(b), y);
    else conv1d_forward(c, x, w, values(b), y);
}

static void backward_of(const conv1d_problem *c, const node *n) {
    const tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    const bool there = device_current() != NULL;
    const void *dy = gradient_as(n, c->in);
    bool more;
    float *dx = gradient_sink(x, &more);
    if (dx) (there ? unfolded_backward_data : conv1d_backward_data)(c, dy, w, dx, more);
    float *dw = gradient_sum(w), *db = gradient_sum(b);
    if (there && db) sum_groups(db, n->grad, 1, c->batch * c->out_time, c->out_c);
    if (dw)
        (there ? unfolded_backward_weights : conv1d_backward_weights)(c, as_operand(x, c->in), dy, dw,
                                                                      there ? NULL : db);
}

static void conv1d_backward_node(node *n) { backward_of(n->options, n); }

static bool is_rows(const conv1d_problem *c) {
    return c->kernel == 1 && c->stride == 1 && !c->pad_left && c->in_time == c->out_time;
}

tensor *conv1d(const tensor *x, const tensor *w, const tensor *b, conv1d_options o) {
    require(x->rank == 3 && w->rank >= 2 && x->shape[2] == w->shape[1]);
    conv1d_problem c = {.batch = x->shape[0], .in_time = x->shape[1], .in_c = x->shape[2], .out_c = w->shape[0]};
    c.kernel = w->rank > 2 ? (int) w->shape[w->rank - 1] : 1;
    c.stride = o.stride ? o.stride : 1;
    c.dilation = o.dilation ? o.dilation : 1;
    c.pad_left = o.pad_left;
    c.out_time = (c.in_time + o.pad_left + o.pad_right - (int64_t) c.dilation * (c.kernel - 1) - 1) / c.stride + 1;
    c.in = o.exact ? F32 : operands();
    c.out = o.out;
    c.bias = b != NULL;
    PLACE(x);
    w = placed_matrix(w);
    PLACE(b);
    tensor *y = tensor_result(o.out, SHAPE(c.batch, c.out_time, c.out_c));
    const bool narrow = o.coarse && coarse_products() && !recording() && !device_current() && w->param;
    if (narrow && o.out == F32 && is_rows(&c) && int8_product(x, w, values(b), y->data)) return y;
    if (!recording()) scope_begin();
    forward(&c, as_operand(x, c.in), w, b, y->data);
    if (!recording()) scope_end();
    record(y, conv1d_backward_node, INPUTS(x, w, b), &c, sizeof c);
    return y;
}

tensor *conv1d_same(const tensor *x, const tensor *w, const tensor *b, int dilation, dtype out) {
    int pad = (int) (w->rank > 2 ? w->shape[w->rank - 1] / 2 : 0) * dilation;
    return conv1d(x, w, b, (conv1d_options){.dilation = dilation, .pad_left = pad, .pad_right = pad, .out = out});
}

/* --- linear: a kernel of 1 over rows, in the type of x --- */

static conv1d_problem linear_problem(const tensor *x, const tensor *w) {
    int64_t N = w->shape[1], rows = count(x) / N;
    return (conv1d_problem){.batch = 1,
                            .in_time = rows,
                            .in_c = N,
                            .out_time = rows,
                            .out_c = w->shape[0],
                            .kernel = 1,
                            .stride = 1,
                            .dilation = 1,
                            .in = x->type,
                            .out = F32};
}

static void linear_backward(node *n) {
    conv1d_problem c = linear_problem(n->in[0], n->in[1]);
    backward_of(&c, n);
}

tensor *linear(const tensor *x, const tensor *w, const tensor *b) {
    require(w->rank == 2 && x->shape[x->rank - 1] == w->shape[1]);
    PLACE(x);
    w = placed_matrix(w);
    PLACE(b);
    conv1d_problem c = linear_problem(x, w);
    c.bias = b != NULL;
    shape s = shape_of(x);
    s.dims[s.rank - 1] = c.out_c;
    tensor *y = tensor_result(F32, s);
    forward(&c, x->data, w, b, y->data);
    record(y, linear_backward, INPUTS(x, w, b), NULL, 0);
    return y;
}
