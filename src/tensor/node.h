/* The tape from the inside: for files that define operations. */
#ifndef HISS_TENSOR_NODE_H
#define HISS_TENSOR_NODE_H

#include "tensor/device.h"
#include "tensor/tape.h"

enum { NODE_INPUTS = 6 };

/* One recorded operation. Its backward adds to the sinks of its inputs, given `grad`, the gradient of `out`. */
typedef struct node node;
struct node {
    void (*backward)(node *n);
    tensor *out;
    const tensor *in[NODE_INPUTS];
    float *grad;           /* of out, F32, same layout, where the operation ran; NULL until something flows back */
    struct foreign *block; /* that memory, on a device */
    bool there;            /* the operation ran on the device */
    node *previous;
    /* What the operation wants to remember. */
    const void *options;
    const void *saved;
};

/* --- where operations run: the host, or the device of this thread (device.h) --- */

/* t where operations run: itself, or a copy in the current scope that has its gradient; NULL for NULL. An operation begins by
 * placing its inputs: PLACE(x); */
const tensor *placed(const tensor *t);
#define PLACE(x) ((x) = placed(x))
/* Of a parameter whose packed copy alone is read: itself on the host, without its values being made. */
const tensor *placed_matrix(const tensor *t);
/* For operations that only the host has: a copy of t there that has its gradient; t itself where operations run on the host. */
const tensor *brought(const tensor *t);
/* placed(t) in another element type: of a parameter, a copy that is kept until it changes. */
const tensor *placed_as(const tensor *t, dtype type);
/* The values of a placed F32 tensor; NULL for NULL. */
const float *values(const tensor *t);
/* The gradient of t as a tensor: F32, of t's shape. */
tensor *tensor_there(float *gradient, const tensor *t);
/* A result where operations run. */
tensor *tensor_result(dtype type, shape s);
/* Scratch memory there, in the current scope, and memset to 0. */
void *alloc_there(size_t bytes);
void clear(void *to, size_t bytes);
/* to = x; to [n] += x [n]; both there. */
void copy_to(void *to, const void *x, size_t bytes);
void add_to(float *to, const float *x, int64_t n);
/* Blocks copied there. */
void copy_blocks(const copying *c, void *to, const void *from, dtype type);

/* True while recording if a gradient can flow to t: a trainable parameter or a recorded result. */
bool wants_gradient(const tensor *t);

/* Records out = operation(inputs) if recording and an input wants a gradient. options (size bytes) are copied. Returns
 * the node, or NULL when nothing was recorded. A NULL input is allowed. */
node *record(tensor *out, void (*derivative)(node *n), const tensor *const *inputs, int count, const void *options,
             size_t size);
/* The same whatever the inputs want, while recording: for operations that hold parameters of their own. */
node *record_always(tensor *out, void (*derivative)(node *n), const tensor *const *inputs, int count,
                    const void *options, size_t size);
#define INPUTS(...)                                                                                                    \
    (const tensor *const[]){__VA_ARGS__}, (int) (sizeof((const tensor *const[]){__VA_ARGS__}) / sizeof(tensor *))

/* Where the gradient of t goes: NULL if none is wanted. *add: add to what is there, else overwrite all of it. */
float *gradient_sink(const tensor *t, bool *add);
/* The same, all of it there: zeros if nothing was. */
float *gradient_sum(const tensor *t);

/* --- operations that keep less than they need ---
 *
 * Forward, such an operation computes between tape_pause and tape_resume: nothing is kept of its inside. Backward, it
 * computes the inside again, in a scope of its own, on a tape of its own: leaves (tape_watch) stand for its inputs, the
 * gradients of its results are laid in (tape_seed), and tape_nest_end goes back: parameters then have their gradients,
 * leaves theirs (tape_gradient) until the scope ends. */
typedef struct {
    bool on;
    node *last;
    scope *home; /* where gradients live during backward */
} tape_state;

tape_state tape_nest(void);
void tape_seed(const tensor *t, const float *gradient);
void tape_nest_end(tape_state outer);

#endif
