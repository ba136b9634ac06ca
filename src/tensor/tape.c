/* The tape, parameters, and the precision policy. */
#include "tensor/tape.h"

#include <string.h>

#include "base/parallel.h"
#include "tensor/node.h"

static _Thread_local tape_state tape;

static void tape_off(void *unused) {
    (void) unused;
    tape.on = false;
    tape.last = NULL;
    tape.home = NULL;
}

void tape_begin(void) {
    require(!tape.on);
    defer(tape_off, NULL);
    tape.on = true;
    tape.last = NULL;
}

bool recording(void) { return tape.on; }

bool wants_gradient(const tensor *t) { return tape.on && t && (t->node || (t->param && t->param->trainable)); }

node *record(tensor *out, void (*derivative)(node *n), const tensor *const *inputs, int count, const void *options,
             size_t size) {
    bool wanted = false;
    for (int i = 0; i < count; i++) wanted |= wants_gradient(inputs[i]);
    if (!wanted) return NULL;
    require(count <= NODE_INPUTS);
    node *n = NEW(node);
    n->backward = derivative;
    n->out = out;
    for (int i = 0; i < count; i++) n->in[i] = inputs[i];
    if (size) n->options = memcpy(alloc(size), options, size);
    n->previous = tape.last;
    tape.last = n;
    out->node = n;
    return n;
}

float *gradient_sink(const tensor *t, bool *add) {
    *add = true;
    if (!t) return NULL;
    if (t->param) return t->param->trainable ? t->param->grad : NULL;
    if (!t->node) return NULL;
    if (!t->node->grad) {
        scope *inner = scope_switch(tape.home);
        t->node->grad = alloc((size_t) count(t) * sizeof(float));
        scope_switch(inner);
        *add = false;
    }
    return t->node->grad;
}

void tape_watch(tensor *x) {
    require(tape.on && !x->node);
    x->node = NEW(node);
    x->node->out = x;
}

const float *tape_gradient(const tensor *x) { return x->node ? x->node->grad : NULL; }

/* The gradient of a finished node is not needed any more. */
static void release_gradient(node *n) {
    if ((size_t) count(n->out) * sizeof(float) >= SCOPE_LARGE) block_release(n->grad);
    n->grad = NULL;
}

/* Backward passes are not recorded: gradients live in the current scope. */
static void walk_back(void) {
    tape.home = scope_current();
    tape.on = false;
    for (node *n = tape.last; n; n = n->previous) {
        if (!n->grad) continue;
        scope_begin();
        n->backward(n);
        scope_end();
        release_gradient(n);
    }
}

static void seed(const tensor *t, const float *gradient) {
    tape.home = scope_current();
    bool add;
    float *d = gradient_sink(t, &add);
    for (int64_t i = 0, n = d ? count(t) : 0; i < n; i++) d[i] = (add ? d[i] : 0) + gradient[i];
}

void backward(const tensor *loss, float scale) {
    require(tape.on && count(loss) == 1);
    seed(loss, &scale);
    walk_back();
    tape_off(NULL);
}

/* --- operations that keep less than they need --- */

bool tape_pause(void) {
    bool was = tape.on;
    tape.on = false;
    return was;
}

void tape_resume(bool was) { tape.on = was; }

tape_state tape_nest(void) {
    require(!tape.on && tape.home);
    tape_state outer = tape;
    tape = (tape_state){.on = true};
    return outer;
}

void tape_seed(const tensor *t, const float *gradient) { seed(t, gradient); }

void tape_nest_end(tape_state outer) {
    walk_back();
    tape = outer;
}

int64_t params_elements(const params *p) {
    int64_t n = 0;
    for (size_t i = 0; i < p->count; i++) n += count(p->items[i]->value);
    return n;
}

void params_zero_grad(params *p) {
    for (size_t i = 0; i < p->count; i++) {
        param *item = p->items[i];
        size_t size = (size_t) count(item->value) * sizeof(float);
        if (!item->trainable) continue;
        if (!item->grad) {
            scope *before = scope_switch(p->home);
            item->grad = alloc(size);
            scope_switch(before);
        }
        memset(item->grad, 0, size);
    }
}

void param_changed(param *p) { p->version++; }

param *params_find(const params *p, const char *name) {
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(p->items[i]->name, name)) return p->items[i];
    return NULL;
}

static precision policy = PRECISION_AUTO;

void precision_set(precision p) { policy = p; }

dtype operands(void) {
    if (policy != PRECISION_AUTO) return policy == PRECISION_BF16 ? BF16 : F32;
    return cpu()->amx_bf16 ? BF16 : F32;
}
