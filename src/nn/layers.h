/* Layers that most networks share: their parameters under the names and with the starting values PyTorch gives them. */
#ifndef HISS_NN_LAYERS_H
#define HISS_NN_LAYERS_H

#include "nn/bind.h"
#include "tensor/ops.h"

/* NAME.weight and NAME.bias of a convolution or linear layer. */
typedef struct {
    const tensor *weight, *bias;
} affine;

/* weight of this shape; the bias starts uniform in +-1 / sqrt(fan_in) unless bias_zero. */
affine bind_affine(binder *b, const char *name, shape weight, init how, bool bias_zero);
/* [out, in, kernel] and [out, in]. */
affine bind_conv(binder *b, const char *name, int64_t out, int64_t in, int64_t kernel, init_kind how, bool bias_zero);
affine bind_linear(binder *b, const char *name, int64_t out, int64_t in);

/* conv1d that keeps the length. */
tensor *apply_conv(affine a, const tensor *x, int dilation, dtype out);
/* The same to F32; exact: with F32 operands whatever the precision. */
tensor *apply_conv_exactly(affine a, const tensor *x, int dilation, bool exact);
tensor *apply_linear(affine a, const tensor *x);

/* t itself, made of parameters: matrix operations keep its packed form as they keep a parameter's. */
const tensor *keep_packed(tensor *t, const char *name);

/* The same for a tensor of shape s that is made from parameters when it is first used, and kept packed alone. The source's
 * context must live as long. */
const tensor *keep_made(shape s, param_source from, const char *name);
/* The kernel of a transposed convolution w [Cin, Cout, K] as a dense one's. */
const tensor *keep_transposed(const tensor *w, int stride);

/* Dimension `axis` of a file's tensor, or `otherwise` where there is no such tensor. */
int64_t store_dimension(const store *s, const char *name, int axis, int64_t otherwise);

#endif
