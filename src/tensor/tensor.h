/* The tensor: a value in a scope, and the operations on it.
 *
 * An operation is a plain function that returns a new tensor in the current scope. While recording (tape_begin), the
 * same calls build the tape that backward() walks. Layout is channels last and contiguous everywhere: [batch, time,
 * channels], [batch, height, width, channels].
 *
 * Precision is a policy: operands() is bf16 where the CPU multiplies bf16 matrices faster and the user allows it, else f32.
 * Matrix operations convert their operands by themselves; elementwise operations that feed one take an `out` type, so
 * that the conversion costs no pass of its own. Accumulation, norms and residual streams stay f32.
 *
 * Letters in shape comments: B batch, T time (samples or frames), C channels, K kernel, N, M matrix rows and columns. */
#ifndef HISS_TENSOR_TENSOR_H
#define HISS_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scope.h"
#include "tensor/dtype.h"

enum { MAX_RANK = 8 };

typedef struct tensor tensor;
struct tensor {
    dtype type;
    int rank;
    int64_t shape[MAX_RANK];
    void *data;            /* contiguous, row-major; owned by a scope or mapped from a file */
    struct node *node;     /* how it was made, while recording; NULL for constants */
    struct param *param;   /* the parameter it is, or NULL */
    bool view;             /* data belongs to another tensor: the tensor of that memory outlives this one */
    bool device;           /* data is memory of the open device (device.h): only operations read it there */
    struct foreign *block; /* that memory, where it is the tensor's own */
    scope *home;           /* where its values go when the host asks for them */
};

/* A tensor in the current scope; data undefined / zero / copied from values. Dimensions follow as int64_t via the
 * macro SHAPE: tensor_new(F32, SHAPE(2, 3)). Sizes beyond 2^40 bytes are an error. */
typedef struct {
    int rank;
    int64_t dims[MAX_RANK];
} shape;
#define SHAPE(...) ((shape){sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}})
tensor *tensor_new(dtype type, shape s);
tensor *tensor_zero(dtype type, shape s);
tensor *tensor_from(const float *values, shape s);    /* copies */
tensor *tensor_wrap(dtype type, shape s, void *data); /* borrows data */
/* The memory of t from element `first` on, wherever it lies, as another shape of the same type; not recorded. */
tensor *tensor_view(const tensor *t, int64_t first, shape s);
shape shape_of(const tensor *t);
int64_t count(const tensor *t); /* elements */
size_t tensor_bytes(const tensor *t);
char *shape_text(shape s); /* "[2, 3]" in the current scope */
/* Its values on the host, to read or write, wherever the tensor was: a device's tensor lies on the host from then on. */
void *host_data(const tensor *t);
float *f32(const tensor *t); /* the same; type must be F32 */
uint16_t *bf16(const tensor *t);
/* A copy of the values as F32 / as `type` (rounding to nearest even), not recorded. */
tensor *tensor_to_f32(const tensor *t);
tensor *tensor_convert(const tensor *t, dtype type);

/* Ends the current scope and hands `result`, which must have been made in it, out to the scope around it. The second
 * form hands out several: SCOPE_END_KEEP(&x, &skip). While recording, everything in the scope lives on for the tape. */
tensor *scope_end_keep(tensor *result);
void scope_end_keep_all(tensor **kept[], size_t n);
/* Frees the memory of a tensor of the current scope early, unless it is recorded, a view or NULL. */
void tensor_release(tensor *t);
/* The same while recording, for a value that no derivative reads. */
void tensor_forget(tensor *t);
#define SCOPE_END_KEEP(...)                                                                                            \
    scope_end_keep_all((tensor **[]){__VA_ARGS__}, sizeof((tensor **[]){__VA_ARGS__}) / sizeof(tensor **))

#endif
