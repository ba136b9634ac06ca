/* The tape, parameters, and the precision policy. */
#include "tensor/tape.h"

#include <pthread.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/convert.h"
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
    return wanted ? record_always(out, derivative, inputs, count, options, size) : NULL;
}

node *record_always(tensor *out, void (*derivative)(node *n), const tensor *const *inputs, int count,
                    const void *options, size_t size) {
    require(tape.on && count <= NODE_INPUTS);
    node *n = NEW(node);
    n->backward = derivative;
    n->there = device_current() != NULL;
    n->out = out;
    for (int i = 0; i < count; i++) n->in[i] = inputs[i];
    if (size) n->options = memcpy(alloc(size), options, size);
    n->previous = tape.last;
    tape.last = n;
    out->node = n;
    return n;
}

/* A gradient that is spent lives as long as its operation's way back. */
static float *param_sink(param *p, bool *add) {
    if (!p->trainable) return NULL;
    if (p->spend && !p->grad) {
        scope *inner = scope_switch(tape.home);
        p->grad = alloc((size_t) count(p->value) * sizeof(float));
        scope_switch(inner);
        *add = false;
    }
    return p->grad;
}

static void spend_gradients(const node *n) {
    for (int i = 0; i < NODE_INPUTS; i++) {
        param *p = n->in[i] ? n->in[i]->param : NULL;
        if (!p || !p->spend || !p->grad) continue;
        p->spend(p->spender, p->grad);
        if ((size_t) count(p->value) * sizeof(float) >= SCOPE_LARGE) block_release(p->grad);
        p->grad = NULL;
    }
}

float *gradient_sink(const tensor *t, bool *add) {
    *add = true;
    if (!t) return NULL;
    if (t->param) return param_sink(t->param, add);
    if (!t->node) return NULL;
    if (!t->node->grad) {
        size_t bytes = (size_t) count(t) * sizeof(float);
        scope *inner = scope_switch(tape.home);
        if (t->device) {
            t->node->grad = device_opened()->take(bytes);
            t->node->block = foreign_keep(t->node->grad, device_opened()->give);
        } else t->node->grad = alloc(bytes);
        scope_switch(inner);
        *add = false;
    }
    return t->node->grad;
}

float *gradient_sum(const tensor *t) {
    bool more;
    float *d = gradient_sink(t, &more);
    if (d && !more) clear(d, (size_t) count(t) * sizeof *d);
    return d;
}

void tape_watch(tensor *x) {
    require(tape.on && !x->node);
    x->node = NEW(node);
    x->node->out = x;
}

static const float *to_host(const float *x, int64_t n) {
    float *copy = alloc((size_t) n * sizeof *copy);
    device_opened()->download(copy, x, (size_t) n * sizeof *copy);
    return copy;
}

const float *tape_gradient(const tensor *x) {
    if (!x->node || !x->node->block) return x->node ? x->node->grad : NULL;
    return to_host(x->node->grad, count(x));
}

const float *param_gradient(const param *p) {
    return p->grad && p->grad_block ? to_host(p->grad, count(p->value)) : p->grad;
}

/* The gradient of a finished node is not needed any more. */
static void release_gradient(node *n) {
    if (n->block) foreign_release(n->block);
    else if ((size_t) count(n->out) * sizeof(float) >= SCOPE_LARGE) block_release(n->grad);
    n->block = NULL;
    n->grad = NULL;
}

/* Backward passes are not recorded: gradients live in the current scope. */
static void walk_back(void) {
    tape.home = scope_current();
    tape.on = false;
    for (node *n = tape.last; n; n = n->previous) {
        if (!n->grad) continue;
        scope_begin();
        bool was = device_switch(n->there);
        n->backward(n);
        device_switch(was);
        scope_end();
        spend_gradients(n);
        release_gradient(n);
    }
}

static void seed(const tensor *t, const float *gradient) {
    tape.home = scope_current();
    bool add;
    float *d = gradient_sink(t, &add);
    if (d && !t->device)
        for (int64_t i = 0, n = count(t); i < n; i++) d[i] = (add ? d[i] : 0) + gradient[i];
    else if (d && add) add_to(d, gradient, count(t));
    else if (d) device_current()->copy(d, gradient, (size_t) count(t) * sizeof *d);
}

/* Losses are read by the host: they lie there, whoever computed them. */
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
        if (!item->trainable || item->spend) continue;
        if (!item->grad || !item->grad_block != !device_current()) {
            scope *before = scope_switch(p->home);
            item->grad_block = NULL;
            if (device_current()) {
                item->grad = device_current()->take(size);
                item->grad_block = foreign_keep(item->grad, device_current()->give);
            } else item->grad = alloc(size);
            scope_switch(before);
        }
        clear(item->grad, size);
    }
}

/* --- values --- */

/* Threads may share a model: its home takes what one of them allocates at a time. */
static pthread_mutex_t home_lock = PTHREAD_MUTEX_INITIALIZER;

static void unlock(void *lock) { pthread_mutex_unlock(lock); }

scope *param_home_enter(const param *p) {
    scope_begin();
    pthread_mutex_lock(&home_lock);
    defer(unlock, &home_lock);
    return scope_switch(p->home);
}

void param_home_leave(scope *before) {
    scope_switch(before);
    scope_end();
}

static void *made(const param *p) { return __atomic_load_n(&p->value->data, __ATOMIC_ACQUIRE); }

const tensor *param_values(const param *p) { return made(p) ? p->value : p->source->read(p->source->context); }

void param_packed(const param *p, const tensor *values) {
    enum { LARGE = 1 << 23 };
    if (made(p)) return;
    const bool copied = !values->view;
    tensor_release((tensor *) values);
    if (p->source->drop) p->source->drop(p->source->context);
    if (copied && tensor_bytes(values) > LARGE) memory_trim(); /* hardly anything else is as large */
}

static void make_values(param *p) {
    const size_t bytes = tensor_bytes(p->value);
    scope *before = param_home_enter(p);
    if (!made(p)) {
        void *data = alloc(bytes + 1);
        scope_switch(before);
        const tensor *from = p->source->read(p->source->context);
        convert(data, F32, from->data, from->type, count(from));
        if (p->source->drop) p->source->drop(p->source->context);
        __atomic_store_n(&p->value->data, data, __ATOMIC_RELEASE);
    }
    param_home_leave(before);
}

void *param_data(param *p) {
    if (!made(p)) make_values(p);
    param_to_host(p);
    return p->value->data;
}

void param_changed(param *p) { p->version++; }

param *params_find(const params *p, const char *name) {
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(p->items[i]->name, name)) return p->items[i];
    return NULL;
}

static precision policy = PRECISION_AUTO;

void precision_set(precision p) { policy = p; }

bool coarse_products(void) { return policy == PRECISION_INT8; }

dtype operands(void) {
    if (policy == PRECISION_F32 || policy == PRECISION_BF16) return policy == PRECISION_BF16 ? BF16 : F32;
    if (device_current()) return device_current()->bf16 ? BF16 : F32;
    return cpu()->fast_bf16 ? BF16 : F32;
}
