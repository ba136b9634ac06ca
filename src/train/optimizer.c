/* Adam: see optimizer.h. (Kingma and Ba 2015; Loshchilov and Hutter 2019; the order of operations is torch.optim's.) */
#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/parallel.h"
#include "base/text.h"
#include "tensor/node.h"

enum { RUN = 1 << 14 }; /* elements a thread takes at once; sums are kept by run, so threads do not change them */

/* What belongs to one parameter, each as long as it. */
typedef struct {
    param *of;
    float *first, *second, *average; /* moments; average NULL without one; where the training runs */
} slot;

typedef struct {
    const slot *slot;
    int64_t first, length;
} run;

struct optimizer {
    optimizer_settings settings;
    const device *there; /* NULL: the host */
    slot *slots;
    size_t count;
    run *runs;
    int64_t run_count;
    double *partial; /* one a run */
    int64_t updates;
    void (*changed)(void *context); /* or NULL */
    void *context;
};

/* --- settings --- */

optimizer_settings optimizer_default(void) {
    return (optimizer_settings){.rate = 2e-4, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .average_warmup = true};
}

static const char *const KINDS[] = {"adam", "adamw", NULL};
static const char *const DECAYS[] = {"constant", "linear", "cosine", "inverse", NULL};

/* The index of the string under key in a NULL-terminated list. */
static int choice(config c, const char *key, const char *const *names, int otherwise) {
    const char *word = config_string(c, key, names[otherwise]);
    size_t n = 0;
    for (; names[n]; n++)
        if (!strcmp(word, names[n])) return (int) n;
    fail(HISS_ERROR_ARGUMENT, "%s: %s: '%s' is not known; %s", c.where, key, word, suggest(word, names, n));
}

static void read_optimizer(config c, optimizer_settings *s) {
    static const char *const keys[] = {"kind",         "learning_rate", "betas", "epsilon",    "weight_decay",
                                       "max_gradient", "warmup",        "decay", "decay_from", "final",
                                       "gamma",        "power",         "warm",  NULL};
    config_only(c, keys);
    s->decoupled = choice(c, "kind", KINDS, 0) == 1;
    s->rate = config_number(c, "learning_rate", s->rate, 0, 1);
    size_t n;
    double *betas = config_numbers(c, "betas", 2, &n);
    if (n) {
        if (n != 2 || !(betas[0] >= 0 && betas[0] < 1 && betas[1] >= 0 && betas[1] < 1))
            fail(HISS_ERROR_ARGUMENT, "%s: betas must be two numbers in [0, 1)", c.where);
        s->beta1 = betas[0];
        s->beta2 = betas[1];
    }
    s->epsilon = config_number(c, "epsilon", s->epsilon, 1e-30, 1);
    s->weight_decay = config_number(c, "weight_decay", 0, 0, 10);
    s->clip = config_number(c, "max_gradient", 0, 0, 1e12);
    s->warmup = config_int(c, "warmup", 0, 0, 1000000000);
    s->decay = (decay_kind) choice(c, "decay", DECAYS, 0);
    s->decay_from = config_number(c, "decay_from", 0, 0, 1);
    s->final = config_number(c, "final", 0, 0, 1);
    s->gamma = config_number(c, "gamma", 1e6, 1e-3, 1e12);
    s->power = config_number(c, "power", 0.5, 0, 10);
    s->warm = config_number(c, "warm", 0, 0, 1 - 1e-9);
}

optimizer_settings optimizer_settings_read(config recipe) {
    optimizer_settings s = optimizer_default();
    if (config_has(recipe, "optimizer")) read_optimizer(config_get(recipe, "optimizer"), &s);
    if (config_has(recipe, "average")) {
        static const char *const keys[] = {"decay", "warmup", "power", NULL};
        config c = config_get(recipe, "average");
        config_only(c, keys);
        s.average = config_number(c, "decay", 0, 0, 0.9999999);
        s.average_warmup = config_bool(c, "warmup", true);
        s.average_power = config_number(c, "power", 0, 0, 10);
    }
    return s;
}

double optimizer_rate(const optimizer_settings *s, int64_t done, int64_t steps) {
    const double n = (double) done;
    if (done < s->warmup) return s->rate * (n + 1) / (double) s->warmup;
    if (s->decay == DECAY_INVERSE) return s->rate * (1 - pow(s->warm, n + 1)) * pow(1 + n / s->gamma, -s->power);
    double first = fmax((double) s->warmup, s->decay_from * (double) steps);
    if (s->decay == DECAY_CONSTANT || (double) done < first || (double) steps <= first) return s->rate;
    double part = ((double) done - first) / ((double) steps - first);
    double left = s->decay == DECAY_LINEAR ? 1 - part : 0.5 + 0.5 * cos(M_PI * part);
    return s->rate * (s->final + (1 - s->final) * (part < 1 ? left : 0));
}

/* --- state --- */

static void cut_into_runs(optimizer *o) {
    for (size_t i = 0; i < o->count; i++) o->run_count += (count(o->slots[i].of->value) + RUN - 1) / RUN;
    o->runs = NEW_ARRAY(run, o->run_count + 1);
    o->partial = NEW_ARRAY(double, o->run_count + 1);
    run *r = o->runs;
    for (size_t i = 0; i < o->count; i++) {
        int64_t n = count(o->slots[i].of->value);
        for (int64_t first = 0; first < n; first += RUN)
            *r++ = (run){&o->slots[i], first, n - first < RUN ? n - first : RUN};
    }
}

static float *zeros(int64_t n) {
    float *z = alloc_there((size_t) n * sizeof *z);
    clear(z, (size_t) n * sizeof *z);
    return z;
}

optimizer *optimizer_new(const optimizer_settings *s, params *p) {
    optimizer *o = NEW(optimizer);
    o->settings = *s;
    o->there = device_current();
    o->slots = NEW_ARRAY(slot, p->count + 1);
    for (size_t i = 0; i < p->count; i++) {
        param *item = p->items[i];
        if (!item->trainable) continue;
        int64_t n = count(item->value);
        slot *to = &o->slots[o->count++];
        *to = (slot){item, zeros(n), zeros(n), NULL};
        if (s->average > 0) {
            to->average = alloc_there((size_t) n * sizeof(float));
            copy_to(to->average, o->there ? param_on_device(item) : f32(item->value), (size_t) n * sizeof(float));
        }
    }
    cut_into_runs(o);
    return o;
}

void optimizer_watch(optimizer *o, void (*changed)(void *context), void *context) {
    o->changed = changed;
    o->context = context;
}

static void tell_changed(const optimizer *o) {
    if (o->changed) o->changed(o->context);
}

int64_t optimizer_updates(const optimizer *o) { return o->updates; }

/* --- one update --- */

CLONES static double sum_squares(const float *g, int64_t n) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += (double) g[i] * g[i];
    return sum;
}

static double norm_there(const optimizer *o) {
    const float **items = NEW_ARRAY(const float *, o->count + 1);
    int64_t *lengths = NEW_ARRAY(int64_t, o->count + 1);
    for (size_t i = 0; i < o->count; i++) {
        items[i] = o->slots[i].of->grad;
        lengths[i] = count(o->slots[i].of->value);
    }
    return sqrt(o->there->sum_squares(items, lengths, (int64_t) o->count));
}

static double gradient_norm(optimizer *o) {
    if (o->there) return norm_there(o);
    int64_t runs = o->run_count;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < runs; i++) {
        const run *r = &o->runs[i];
        o->partial[i] = sum_squares(r->slot->of->grad + r->first, r->length);
    }
    double sum = 0;
    for (int64_t i = 0; i < runs; i++) sum += o->partial[i];
    return sqrt(sum);
}

CLONES static void update_run(float *restrict w, const float *restrict gradient, float *restrict first,
                              float *restrict second, int64_t n, const adam_factors *f) {
    adam_factors k = *f;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i] * k.clip + k.couple * w[i];
        first[i] += k.one_minus_beta1 * (g - first[i]);
        second[i] = second[i] * k.beta2 + k.one_minus_beta2 * g * g;
        w[i] = w[i] * k.shrink - k.step * (first[i] / (sqrtf(second[i]) / k.correction + k.epsilon));
    }
}

CLONES static void average_run(float *restrict average, const float *restrict w, int64_t n, float part) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) average[i] += part * (w[i] - average[i]);
}

static adam_factors prepare(const optimizer *o, double norm, double rate) {
    const optimizer_settings *s = &o->settings;
    double n = (double) o->updates, bias1 = 1 - pow(s->beta1, n), bias2 = 1 - pow(s->beta2, n);
    double clip = s->clip > 0 ? s->clip / (norm + 1e-6) : 1, decay = s->average;
    const double least = s->average_power > 0 ? 1 - pow(1 + n, -s->average_power) : (1 + n) / (10 + n);
    if (s->average_warmup && decay > least) decay = least;
    return (adam_factors){
        .clip = (float) (clip < 1 ? clip : 1),
        .shrink = s->decoupled ? (float) (1 - rate * s->weight_decay) : 1.0f,
        .couple = s->decoupled ? 0.0f : (float) s->weight_decay,
        .beta2 = (float) s->beta2,
        .one_minus_beta1 = (float) (1 - s->beta1),
        .one_minus_beta2 = (float) (1 - s->beta2),
        .step = (float) (rate / bias1),
        .correction = (float) sqrt(bias2),
        .epsilon = (float) s->epsilon,
        .average = (float) (1 - decay),
    };
}

static void update_here(optimizer *o, const adam_factors *f) {
    for (size_t i = 0; i < o->count; i++) host_data(o->slots[i].of->value); /* they may lie in a file as yet */
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < o->run_count; i++) {
        const run *r = &o->runs[i];
        const slot *s = r->slot;
        float *w = (float *) s->of->value->data + r->first;
        update_run(w, s->of->grad + r->first, s->first + r->first, s->second + r->first, r->length, f);
        if (s->average) average_run(s->average + r->first, w, r->length, f->average);
    }
    for (size_t i = 0; i < o->count; i++) param_changed(o->slots[i].of);
}

static void update_there(optimizer *o, const adam_factors *f) {
    for (size_t i = 0; i < o->count; i++) {
        const slot *s = &o->slots[i];
        o->there->adam(param_on_device(s->of), s->of->grad, s->first, s->second, s->average, count(s->of->value), f);
        param_changed_there(s->of);
    }
}

double optimizer_step(optimizer *o, double rate) {
    scope_begin();
    double norm = gradient_norm(o);
    scope_end();
    if (!isfinite(norm)) return norm;
    o->updates++;
    adam_factors f = prepare(o, norm, rate);
    if (o->there) update_there(o, &f);
    else update_here(o, &f);
    tell_changed(o);
    return norm;
}

void optimizer_swap_average(optimizer *o) {
    for (size_t i = 0; i < o->count; i++) {
        slot *s = &o->slots[i];
        if (!s->average) continue;
        if (o->there) {
            o->there->swap(param_on_device(s->of), s->average, count(s->of->value));
            param_changed_there(s->of);
            continue;
        }
        float *w = f32(s->of->value);
        for (int64_t k = 0, n = count(s->of->value); k < n; k++) {
            float t = w[k];
            w[k] = s->average[k];
            s->average[k] = t;
        }
        param_changed(s->of);
    }
    tell_changed(o);
}

/* --- saving --- */

enum { PARTS = 4 };
static const char *const PART_NAMES[PARTS] = {"raw", "first", "second", "average"};

/* NULL where there is none; the values themselves are the parameter's. */
static float *part_of(const slot *s, int part) {
    float *const data[PARTS] = {f32(s->of->value), s->first, s->second, s->average};
    return data[part];
}

/* The part as the host reads it. */
static tensor *read_part(const optimizer *o, const slot *s, int part) {
    shape whole = shape_of(s->of->value);
    if (!o->there || !part) return tensor_wrap(F32, whole, part_of(s, part));
    tensor *t = tensor_new(F32, whole);
    o->there->download(t->data, part_of(s, part), tensor_bytes(t));
    return t;
}

static void write_part(const optimizer *o, const slot *s, int part, const float *from) {
    size_t bytes = (size_t) count(s->of->value) * sizeof(float);
    if (o->there && part) o->there->upload(part_of(s, part), from, bytes);
    else memcpy(part_of(s, part), from, bytes);
}

named_tensor *optimizer_state(const optimizer *o, size_t *n) {
    named_tensor *items = NEW_ARRAY(named_tensor, PARTS * o->count + 1);
    *n = 0;
    for (size_t i = 0; i < o->count; i++)
        for (int part = 0; part < PARTS; part++) {
            const slot *s = &o->slots[i];
            if (!part_of(s, part)) continue;
            items[(*n)++] = (named_tensor){format("%s.%s", PART_NAMES[part], s->of->name), read_part(o, s, part)};
        }
    return items;
}

void optimizer_restore(optimizer *o, const store *file, int64_t updates) {
    for (size_t i = 0; i < o->count; i++)
        for (int part = 0; part < PARTS; part++) {
            const slot *s = &o->slots[i];
            if (!part_of(s, part)) continue;
            scope_begin();
            char *name = format("%s.%s", PART_NAMES[part], s->of->name);
            const store_entry *e = store_find(file, name);
            int64_t n = count(s->of->value);
            if (!e)
                fail(HISS_ERROR_FORMAT, "%s: %s is missing: was this run made with another recipe?", store_path(file),
                     name);
            const tensor *t = store_read(file, name);
            if (t->type != F32 || count(t) != n)
                fail(HISS_ERROR_FORMAT, "%s: %s is %s %s, expected F32 %s", store_path(file), name, dtype_name(t->type),
                     shape_text(shape_of(t)), shape_text(shape_of(s->of->value)));
            write_part(o, s, part, f32(t));
            scope_end();
        }
    for (size_t i = 0; i < o->count; i++) param_changed(o->slots[i].of);
    o->updates = updates;
    tell_changed(o);
}

int64_t optimizer_state_bytes(const optimizer *o) {
    int64_t n = 0;
    for (size_t i = 0; i < o->count; i++)
        n += count(o->slots[i].of->value) * (o->slots[i].average ? PARTS : PARTS - 1) * (int64_t) sizeof(float);
    return n;
}
