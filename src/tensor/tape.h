/* Parameters and the tape: reverse-mode differentiation of the calls in ops.h.
 *
 *     scope_begin();
 *     tape_begin();
 *     tensor *loss = l1_loss(forward(net, x), target);
 *     backward(loss);                  // adds to param->grad of every trainable parameter
 *     scope_end();                     // the whole tape goes
 */
#ifndef HISS_TENSOR_TAPE_H
#define HISS_TENSOR_TAPE_H

#include "tensor/tensor.h"

/* Where the values of a parameter are as long as nobody has asked for them as F32: in a file, or in other parameters. */
typedef struct {
    /* All values in any float type, contiguous, in the current scope or one that lives longer. */
    const tensor *(*read)(void *context);
    /* They will hardly be read again: a packed copy is made. NULL: nothing to do. */
    void (*drop)(void *context);
    void *context;
} param_source;

/* A named, learned tensor. Its memory belongs to the scope of the parameter list it is in. */
typedef struct param {
    const char *name;           /* as the published checkpoint has it */
    tensor *value;              /* F32, in the checkpoint's layout ([out, in, kernel] for a convolution) */
    const param_source *source; /* or NULL; value->data is NULL until f32(value) is called */
    float *grad;                /* as many as value, where the training runs, or NULL while not training */
    struct foreign *grad_block; /* that memory, on a device */
    /* On the host: takes what an operation adds to the gradient at once; grad is there no longer than that. NULL: grad is kept. */
    void (*spend)(void *spender, const float *gradient);
    void *spender;
    bool trainable;
    bool once;             /* of a network that is run once: its packed copies go with the operation that made them */
    uint64_t version;      /* raised whenever value changes: packed copies of other versions are stale */
    struct packed *packed; /* what oneDNN's kernels keep of it (cpu/dnn_weights.c) */
    struct panels *panels; /* and what hiss's own do (cpu/panels.c) */
    struct coarse *coarse; /* its int8 form (cpu/int8.c) */
    struct device_param *on_device; /* its copies there (device.c) */
    scope *home;                    /* where it and its packed copies live */
} param;

typedef struct {
    param **items;
    size_t count;
    scope *home; /* where names, values, gradients and packed copies live */
} params;

int64_t params_elements(const params *p);
/* Allocates (zeroed) or clears the gradients of all trainable parameters. */
void params_zero_grad(params *p);
/* The values as they are at hand, F32 or another float type, to read: for what makes a packed copy of them. */
const tensor *param_values(const param *p);
/* After that, with what it gave: memory that only served to read them may go. */
void param_packed(const param *p, const tensor *values);
/* Opens a scope in which this thread alone allocates in the parameter's home, which is current until the other call. */
scope *param_home_enter(const param *p);
void param_home_leave(scope *before);
/* After writing to the values: f32(value). */
void param_changed(param *p);
/* Its values as F32 on the host, made or brought back from a device; f32(value) calls it. */
void *param_data(param *p);
/* Where its values changed on a device, brings them back. */
void param_to_host(param *p);
/* The gradient of a parameter or of all of them as the host reads it: grad itself, or a copy in the current scope. */
const float *param_gradient(const param *p);
param *params_find(const params *p, const char *name); /* NULL if there is none */

/* Recording, per thread. Off by default; tapes do not nest. Ends by itself when an error unwinds. */
void tape_begin(void);
bool recording(void);
/* Nothing is recorded between; returns whether it was, for tape_resume. */
bool tape_pause(void);
void tape_resume(bool was);
/* Differentiates a one-element F32 tensor through everything recorded since tape_begin and ends the recording.
 * scale multiplies the gradients (1 / accumulated batches). */
void backward(const tensor *loss, float scale);

/* y = body(context, in), of which nothing inside is kept: going back computes it again (Chen et al. 2016, arXiv 1604.06174). in: up to
 * 6 tensors, each may be NULL. context (size bytes) is copied; what it points to lives as long as the tape. A device keeps all: its
 * kernels want to be fed, and its memory holds what training needs. (recompute.c) */
typedef tensor *tape_body(const void *context, const tensor *const *in);
tensor *tape_recompute(tape_body *body, const void *context, size_t size, const tensor *const *in, int count);

/* For tests: makes a constant whose gradient is kept, and reads that gradient after backward, on the host. */
void tape_watch(tensor *x);
const float *tape_gradient(const tensor *x);

/* The type of matrix operands: BF16 or F32. */
dtype operands(void);
typedef enum { PRECISION_AUTO, PRECISION_F32, PRECISION_BF16, PRECISION_INT8 } precision;
/* AUTO is bf16 on a device that is faster with it and on a processor that is (cpu()->fast_bf16), else f32. Asking for bf16 elsewhere
 * works, slowly. */
void precision_set(precision p);
/* INT8: products that may be coarse are, outside training; all else is as with AUTO. */
bool coarse_products(void);

#endif
