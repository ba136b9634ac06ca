/* A training step beside the original's: what was mixed and predicted, the loss, every gradient, their norm, and the
 * parameters after three updates. Compared in f32 whatever the precision asked for: Adam's first steps are close to the
 * sign of the gradient, which bf16 does not keep where it is small. */
#include <math.h>
#include <string.h>

#include "parity.h"
#include "train/optimizer.h"
#include "train/trainable.h"

typedef struct {
    parity_case *c;
    const trainable *system;
    void *network;
    params *parameters;
    optimizer *optimizer;
    double rate;
    batch batch;
    int64_t steps; /* as many as out.loss holds */
} training;

/* The drawn integer n of `count`, first at `lowest`, as the draw in [0, 1) that gives it. */
static double *as_draws(const tensor *t, int64_t lowest, int64_t count_) {
    double *level = NEW_ARRAY(double, count(t));
    for (int64_t i = 0; i < count(t); i++)
        level[i] = ((double) (((const int64_t *) t->data)[i] - lowest) + 0.5) / (double) count_;
    return level;
}

static void set_draws(training *t, config network) {
    batch *b = &t->batch;
    b->place = NEW_ARRAY(double, b->size);
    size_t levels;
    if (!strcmp(t->system->name, "wavegrad")) {
        const float *level = wavegrad_levels(network, &levels);
        b->level = as_draws(parity_in(t->c, "s"), 1, (int64_t) levels - 1);
        const tensor *u = parity_in_f32(t->c, "u");
        for (int64_t i = 0; i < b->size; i++) b->place[i] = (double) f32(u)[i];
        parity_out(t->c, "noise_level_table", tensor_from(level, SHAPE((int64_t) levels)));
        return;
    }
    size_t n;
    double *betas = config_numbers(network, "noise_schedule", 100000, &n);
    (void) betas;
    b->level = as_draws(parity_in(t->c, "t"), 0, n ? (int64_t) n : 50);
}

static void open_case(training *t, parity_case *c) {
    config network = parity_config(c);
    t->c = c;
    t->system = trainable_named(config_need_string(parity_info(c), "system"));
    binder *b = binder_load(parity_checkpoint(c));
    t->network = t->system->make(network, b);
    t->parameters = binder_finish(b, true);
    optimizer_settings s = optimizer_default();
    t->rate = s.rate = config_number(network, "learning_rate", s.rate, 0, 1);
    s.clip = config_number(network, "max_grad_norm", 0, 0, 1e12);
    t->optimizer = optimizer_new(&s, t->parameters);
    t->batch.audio = parity_in_f32(c, "audio");
    t->batch.noise = parity_in_f32(c, "noise");
    t->batch.size = t->batch.audio->shape[0];
    if (parity_has_in(c, "mel")) t->batch.mel = swap_last_two(parity_in_f32(c, "mel"));
    t->batch.classes = NEW_ARRAY(int32_t, t->batch.size);
    for (int64_t i = 0; i < t->batch.size; i++) t->batch.classes[i] = -1;
    set_draws(t, network);
    t->steps = count(parity_expected(c, "loss"));
}

static void compare_gradients(training *t) {
    for (size_t i = 0; i < t->parameters->count; i++) {
        const param *p = t->parameters->items[i];
        char *name = format("grad.%s", p->name);
        if (parity_has_out(t->c, name))
            parity_out(t->c, name, tensor_wrap(F32, shape_of(p->value), (void *) param_gradient(p)));
    }
    if (!parity_has_out(t->c, "grad_l2")) return;
    enum { HEAD = 8 };
    config names = config_get(parity_info(t->c), "parameter_names");
    int64_t n = (int64_t) config_count(names);
    tensor *norms = tensor_zero(F32, SHAPE(n)), *heads = tensor_zero(F32, SHAPE(n, HEAD));
    for (int64_t i = 0; i < n; i++) {
        const char *name = json_string_value(config_at(names, (size_t) i).value);
        const param *p = name ? params_find(t->parameters, name) : NULL;
        if (!p) fail(HISS_ERROR_FORMAT, "no parameter %s", name ? name : "?");
        const float *gradient = param_gradient(p);
        double sum = 0;
        for (int64_t k = 0; k < count(p->value); k++) sum += (double) gradient[k] * gradient[k];
        f32(norms)[i] = (float) sqrt(sum);
        for (int64_t k = 0; k < HEAD && k < count(p->value); k++) f32(heads)[i * HEAD + k] = gradient[k];
    }
    parity_out(t->c, "grad_l2", norms);
    parity_out(t->c, "grad_head", heads);
}

static void run_step(training *t, int64_t step, tensor *losses, tensor *norms) {
    params_zero_grad(t->parameters);
    scope_begin();
    tape_begin();
    loss_trace trace;
    const tensor *loss = t->system->loss(t->network, &t->batch, &trace);
    f32(losses)[step] = *f32(loss);
    backward(loss, 1);
    if (step == 0) {
        parity_out(t->c, "noisy_audio", trace.noisy);
        parity_out(t->c, "predicted", trace.predicted);
        if (parity_has_out(t->c, "noise_level_drawn"))
            parity_out(t->c, "noise_level_drawn", tensor_from(trace.level, SHAPE(t->batch.size)));
        compare_gradients(t);
    }
    scope_end();
    f32(norms)[step] = (float) optimizer_step(t->optimizer, t->rate);
}

/* The change of every parameter, relative to the original's change. */
static void compare_updates(training *t, const store *before) {
    double most = config_number(parity_info(t->c), "update_tolerance", 0, 0, 1);
    for (size_t i = 0; i < t->parameters->count; i++) {
        scope_begin();
        const param *p = t->parameters->items[i];
        char *name = format("after%lld.%s", (long long) t->steps, p->name);
        if (parity_has_out(t->c, name)) {
            parity_out(t->c, name, p->value);
            const tensor *start = tensor_to_f32(store_read(before, p->name)), *end = parity_expected(t->c, name);
            double error = 0, change = 0;
            for (int64_t k = 0; k < count(p->value); k++) {
                error += pow((double) f32(p->value)[k] - f32(end)[k], 2);
                change += pow((double) f32(end)[k] - f32(start)[k], 2);
            }
            if (sqrt(error) > most * sqrt(change))
                fail(HISS_ERROR_INTERNAL, "%s: its change is off by %.3g, %.3g are allowed", name,
                     sqrt(error) / sqrt(change), most);
        }
        scope_end();
    }
}

static void run_training(parity_case *c) {
    precision asked = operands() == BF16 ? PRECISION_BF16 : PRECISION_F32;
    precision_set(PRECISION_F32);
    training *t = NEW(training);
    open_case(t, c);
    tensor *losses = tensor_zero(F32, SHAPE(t->steps)), *norms = tensor_zero(F32, SHAPE(t->steps));
    for (int64_t i = 0; i < t->steps; i++) run_step(t, i, losses, norms);
    parity_out(c, "loss", losses);
    parity_out(c, "grad_norm", norms);
    compare_updates(t, parity_checkpoint(c));
    precision_set(asked);
}

const parity_row PARITY_TRAINING[] = {
    {"diffwave", "training", run_training}, {"wavegrad", "training", run_training}, {0}};
