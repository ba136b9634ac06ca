/* The tape from the inside: for files that define operations. */
#ifndef HISS_TENSOR_NODE_H
#define HISS_TENSOR_NODE_H

#include "tensor/tape.h"

enum { NODE_INPUTS = 6 };

/* One recorded operation. Its backward adds to the sinks of its inputs, given `grad`, the gradient of `out`. */
typedef struct node node;
struct node {
    void (*backward)(node *n);
    tensor *out;
    const tensor *in[NODE_INPUTS];
    float *grad; /* of out, F32, same layout; NULL until something flows back */
    node *previous;
    /* What the operation wants to remember. */
    const void *options;
    const void *saved;
};

/* True while recording if a gradient can flow to t: a trainable parameter or a recorded result. */
bool wants_gradient(const tensor *t);

/* Records out = operation(inputs) if recording and an input wants a gradient. options (size bytes) are copied. Returns
 * the node, or NULL when nothing was recorded. A NULL input is allowed. */
node *record(tensor *out, void (*derivative)(node *n), const tensor *const *inputs, int count, const void *options,
             size_t size);
#define INPUTS(...)                                                                                                    \
    (const tensor *const[]){__VA_ARGS__}, (int) (sizeof((const tensor *const[]){__VA_ARGS__}) / sizeof(tensor *))

/* Where the gradient of t goes: NULL if none is wanted. *add: add to what is there, else overwrite all of it. */
float *gradient_sink(const tensor *t, bool *add);

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
