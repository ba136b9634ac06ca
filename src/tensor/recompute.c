/* Parts of a network that are computed twice so that nothing inside them is kept: see tape.h. */
#include <string.h>

#include "base/parallel.h"
#include "tensor/node.h"

typedef struct {
    tape_body *body;
    const void *context;
    int count;
} recomputation;

/* A stand-in for an input that was computed; constants and parameters are themselves. */
static const tensor *leaf_for(const tensor *t) {
    tensor *leaf = tensor_view(t, 0, shape_of(t));
    tape_watch(leaf);
    return leaf;
}

static void recompute_backward(node *n) {
    const recomputation *o = n->options;
    const tensor *in[NODE_INPUTS];
    float *sinks[NODE_INPUTS] = {0};
    for (int i = 0; i < o->count; i++) {
        in[i] = n->in[i];
        if (in[i] && in[i]->node) sinks[i] = gradient_sum(in[i]);
    }
    scope_begin();
    const tape_state outer = tape_nest();
    for (int i = 0; i < o->count; i++)
        if (sinks[i]) in[i] = leaf_for(in[i]);
    tape_seed(o->body(o->context, in), n->grad);
    tape_nest_end(outer);
    for (int i = 0; i < o->count; i++) {
        const float *gradient = sinks[i] ? tape_gradient(in[i]) : NULL;
        if (gradient) add_to(sinks[i], gradient, count(in[i]));
    }
    scope_end();
}

tensor *tape_recompute(tape_body *body, const void *context, size_t size, const tensor *const *in, int count) {
    require(count <= NODE_INPUTS);
    if (!recording() || device_current()) return body(context, in);
    const bool was = tape_pause();
    tensor *y = body(context, in);
    tape_resume(was);
    recomputation o = {body, size ? memcpy(alloc(size), context, size) : NULL, count};
    record_always(y, recompute_backward, in, count, &o, sizeof o);
    return y;
}
