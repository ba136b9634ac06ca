/* Distilling the sound model into few steps: a flow map learned from a teacher.
 *
 * The student jumps from t to any later s along the guided walk of the teacher: told t, s - t and the guidance g, it says the w that a
 * straight step is to aim at, z' = z + (w - z) (s - t) / (1 - t), as a flow map (Boffi et al. 2025, arXiv 2505.18825) or a shortcut
 * model (Frans et al. 2024, arXiv 2410.12557) has it; a jump is learned from the teacher's own steps over it (docs/sound.md says why).
 * Targets are not differentiated. So one network makes sounds in 1, 2, 3, 4 or more steps, with guidance inside (Meng et al. 2023,
 * arXiv 2210.03142), and no derivative along the path is needed.
 * Part of the states are not noised recordings but what the student itself makes of noise: those it meets when it generates.
 *
 * B canvases, N patches, P components. All that is computed over them is an operation of ops.h; the host makes numbers of one a
 * canvas. */
#include <math.h>
#include <string.h>

#include "systems/system.h"
#include "tensor/ops.h"
#include "train/mel_dit.h"

static const double NEAREST = 0.2; /* to the clean end: of the weight; few steps begin there, and the rest are short */

typedef struct {
    mel_dit *student;
    const mel_dit *teacher;
    double low, high;      /* guidance */
    double own;            /* part of the states that the student makes */
    int64_t teacher_steps; /* over the whole walk: as fine as the teacher's are */
    int64_t steps;         /* of the walk that is measured on held-out clips, and its guidance */
    double guidance;
} distilling;

static void *make(config network, binder *b) {
    distilling *d = NEW(distilling);
    mel_dit_config c = mel_dit_config_read(network);
    d->student = mel_dit_bind(&c, b);
    return d;
}

static void teach(void *model, const void *teacher, config recipe) {
    distilling *d = model;
    const mel_dit_config *c = mel_dit_sizes(d->student);
    sampling_defaults sampling = sampling_read(recipe);
    static const char *const keys[] = {"guidance", "own", "teacher_steps", "student", NULL};
    config how = config_has(recipe, "distil") ? config_get(recipe, "distil") : config_parse("{}", 2, "distil");
    config_only(how, keys);
    d->teacher = teacher;
    d->low = c->guidance_low;
    d->high = c->guidance_high;
    d->own = config_number(how, "own", 0.5, 0, 1);
    d->teacher_steps = config_int(how, "teacher_steps", 16, 2, 1000);
    d->steps = sampling.steps ? sampling.steps : 4;
    d->guidance = fmin(fmax(sampling.guidance > 0 ? sampling.guidance : 2, d->low), d->high);
}

/* --- steps --- */

/* x + part (y - x), part [B]. */
static tensor *toward(const tensor *x, const tensor *y, const float *part) {
    int64_t B = x->shape[0], P = x->shape[2];
    scope_begin();
    tensor *more = tensor_new(F32, SHAPE(B, P)), *less = tensor_new(F32, SHAPE(B, P));
    for (int64_t i = 0; i < B * P; i++) {
        f32(more)[i] = part[i / P];
        f32(less)[i] = -part[i / P];
    }
    return scope_end_keep(gated_add(gated_add(x, y, more), x, less));
}

/* Where each canvas steps from and to, and with which guidance. */
typedef struct {
    int64_t size;
    float *from, *to, *guidance;
} step;

static step step_new(int64_t size) {
    return (step){size, NEW_ARRAY(float, size), NEW_ARRAY(float, size), NEW_ARRAY(float, size)};
}

static tensor *step_toward(const step *s, const tensor *z, const tensor *w) {
    float *part = NEW_ARRAY(float, s->size);
    for (int64_t i = 0; i < s->size; i++) part[i] = (s->to[i] - s->from[i]) / (1 - s->from[i]);
    return toward(z, w, part);
}

/* What the student aims at. */
static tensor *aim(const distilling *d, const step *s, const tensor *z, mel_dit_condition c) {
    float *jump = NEW_ARRAY(float, s->size);
    for (int64_t i = 0; i < s->size; i++) jump[i] = s->to[i] - s->from[i];
    c.jump = jump;
    c.guidance = s->guidance;
    return mel_dit_forward(d->student, z, s->from, &c);
}

typedef tensor *(*stepper)(const distilling *d, const step *s, const tensor *z, const mel_dit_condition *c);

static tensor *student_step(const distilling *d, const step *s, const tensor *z, const mel_dit_condition *c) {
    scope_begin();
    return scope_end_keep(step_toward(s, z, aim(d, s, z, *c)));
}

/* Rows of a handle, and as many that are off. */
static tensor *and_off(const tensor *rows) {
    shape s = shape_of(rows);
    int64_t n = count(rows), C = s.dims[s.rank - 1];
    s.dims[0] *= 2;
    tensor *y = tensor_zero(F32, s);
    memcpy(f32(y), f32(rows), (size_t) n * sizeof(float));
    for (int64_t i = n + C - 1; i < 2 * n; i += C) f32(y)[i] = 1;
    return y;
}

/* What is asked of B canvases, then nothing of B more. */
static mel_dit_condition and_nothing(const mel_dit_condition *c, int64_t B) {
    float *seconds = NEW_ARRAY(float, 2 * B);
    int32_t *classes = NEW_ARRAY(int32_t, 2 * B);
    for (int64_t i = 0; i < B; i++) {
        seconds[i] = seconds[B + i] = c->seconds[i];
        classes[i] = c->classes[i];
        classes[B + i] = -1;
    }
    return (mel_dit_condition){.seconds = seconds,
                               .classes = classes,
                               .text = and_off(c->text),
                               .coarse = and_off(c->coarse),
                               .style = and_off(c->style),
                               .clock = c->clock ? and_off(c->clock) : NULL,
                               .melody = c->melody ? and_off(c->melody) : NULL};
}

/* Both halves of guidance in one pass of 2 B canvases; c asks for both. */
static tensor *teacher_step(const distilling *d, const step *s, const tensor *z, const mel_dit_condition *c) {
    int64_t B = s->size, rows = z->shape[0] * z->shape[1], P = z->shape[2];
    scope_begin();
    float *t = NEW_ARRAY(float, 2 * B);
    for (int64_t i = 0; i < 2 * B; i++) t[i] = s->from[i % B];
    const tensor *flat = reshape(z, SHAPE(1, rows, P));
    const tensor *twice = reshape(concat_time(flat, flat), SHAPE(2 * B, z->shape[1], P));
    const tensor *w = reshape(mel_dit_forward(d->teacher, twice, t, c), SHAPE(1, 2 * rows, P));
    const tensor *with = reshape(slice_time(w, 0, rows), shape_of(z)),
                 *without = reshape(slice_time(w, rows, rows), shape_of(z));
    return scope_end_keep(step_toward(s, z, toward(without, with, s->guidance)));
}

/* The part of a step from a to b, of 0 to 1. */
static step cut(const step *s, double a, double b) {
    step c = step_new(s->size);
    for (int64_t i = 0; i < s->size; i++) {
        double length = (double) s->to[i] - s->from[i];
        c.from[i] = (float) (s->from[i] + a * length);
        c.to[i] = (float) (s->from[i] + b * length);
        c.guidance[i] = s->guidance[i];
    }
    return c;
}

/* A step in n equal parts. */
static tensor *walk_parts(const distilling *d, const step *s, int64_t n, const tensor *z, const mel_dit_condition *c,
                          stepper go) {
    scope_begin();
    tensor *at = NULL;
    for (int64_t k = 0; k < n; k++) {
        step part = cut(s, (double) k / (double) n, (double) (k + 1) / (double) n);
        at = go(d, &part, at ? at : z, c);
    }
    return scope_end_keep(at);
}

static tensor *walk(const distilling *d, const step *s, int64_t n, const tensor *z, const mel_dit_condition *c) {
    return walk_parts(d, s, n, z, c, student_step);
}

static tensor *teachers_walk(const distilling *d, const step *s, int64_t n, const tensor *z,
                             const mel_dit_condition *c) {
    scope_begin();
    mel_dit_condition both = and_nothing(c, s->size);
    return scope_end_keep(walk_parts(d, s, n, z, &both, teacher_step));
}

/* --- draws --- */

/* True for a share of uniform numbers, which are uniform again afterwards. */
static bool falls(double *u, double share) {
    bool below = *u < share;
    *u = below ? *u / share : (*u - share) / (1 - share);
    return below;
}

/* Lengths of steps: how many the teacher takes for one, of the 16 of a whole walk, and how often. */
static const struct {
    int of_16;
    double share; /* of what the rows before leave */
} LENGTHS[] = {{4, 0.35}, {8, 0.3}, {2, 0.4}, {16, 0.5}, {1, 1}};

/* Half of the steps are those of even walks, the rest begin anywhere, a quarter of them end clean. */
static void draw_place(double *u, double v, double length, float *from, float *to) {
    double first;
    if (falls(u, 0.5)) {
        first = floor(v / length) * length;
    } else {
        length = fmin(length * exp2(v - 0.5), 1);
        first = (1 - length) * (falls(u, 0.25) ? 1 : *u);
    }
    *from = (float) first;
    *to = (float) fmin(first + length, 1);
}

/* All steps of a batch are of about one length: the teacher takes so many for them. The uniform numbers come with the batch. */
static step draw_step(const distilling *d, const batch *b, bool *own, int64_t *taught) {
    step s = step_new(b->size);
    double first = b->level[0], length;
    int row = 0;
    while (!falls(&first, LENGTHS[row].share)) row++;
    length = LENGTHS[row].of_16 / 16.0;
    *taught = llround(fmax(length * (double) d->teacher_steps, 1));
    for (int64_t i = 0; i < b->size; i++) {
        double u = i ? b->level[i] : first;
        s.guidance[i] =
            (float) (d->low + fmod(u * 1021, 1) * (d->high - d->low)); /* digits that the rest does not use */
        own[i] = falls(&u, d->own);
        draw_place(&u, b->place[i], length, &s.from[i], &s.to[i]);
    }
    return s;
}

/* --- what is learned from a batch --- */

typedef struct {
    step step;
    mel_dit_condition asked;
    tensor *state, *target, *weight;
} lesson;

/* Recordings noised to the beginnings of the steps, or what the student makes of the noise: in two steps, as about half of its few
 * have been taken by then. */
static tensor *states(const distilling *d, const lesson *l, const batch *b, const tensor *clean, const bool *own) {
    step first = step_new(b->size);
    float *chosen = NEW_ARRAY(float, b->size);
    for (int64_t i = 0; i < b->size; i++) {
        first.to[i] = l->step.from[i];
        first.guidance[i] = l->step.guidance[i];
        chosen[i] = own[i] ? 1 : 0;
    }
    tensor *noised = toward(b->noise, clean, l->step.from);
    return d->own > 0 ? toward(noised, walk(d, &first, 2, b->noise, &l->asked), chosen) : noised;
}

/* The w at which a straight step is to aim. */
static tensor *target_of(const lesson *l, const tensor *end) {
    float *part = NEW_ARRAY(float, l->step.size);
    for (int64_t i = 0; i < l->step.size; i++) part[i] = (1 - l->step.from[i]) / (l->step.to[i] - l->step.from[i]);
    return toward(l->state, end, part);
}

static lesson prepare(const distilling *d, const batch *b) {
    bool *own = NEW_ARRAY(bool, b->size);
    int64_t taught;
    lesson l = {.step = draw_step(d, b, own, &taught), .weight = tensor_new(F32, SHAPE(b->size))};
    const mel_patches *p = mel_dit_patches(d->student);
    const tensor *normal = mel_normalise(p, b->mel);
    l.asked = mel_dit_asked(d->student, b, normal);
    l.state = states(d, &l, b, mel_to_patches(p, normal), own);
    l.target = target_of(&l, teachers_walk(d, &l.step, taught, l.state, &l.asked));
    for (int64_t i = 0; i < b->size; i++) f32(l.weight)[i] = (float) pow(fmax(1 - l.step.from[i], NEAREST), -2);
    return l;
}

static tensor *loss(const void *model, const batch *b, loss_trace *seen) {
    const distilling *d = model;
    bool was = tape_pause();
    lesson l = prepare(d, b);
    tape_resume(was);
    tensor *predicted = aim(d, &l.step, l.state, l.asked);
    if (seen) *seen = (loss_trace){l.state, predicted, l.step.from};
    return weighted_mse_loss(predicted, l.target, l.weight);
}

/* How far the student's few steps end from the teacher's many, from the same noise: mean of the squared differences. */
static tensor *measure(const void *model, const batch *b) {
    const distilling *d = model;
    step all = step_new(b->size);
    for (int64_t i = 0; i < b->size; i++) {
        all.to[i] = 1;
        all.guidance[i] = (float) d->guidance;
    }
    mel_dit_condition c = mel_dit_asked(d->student, b, mel_normalise(mel_dit_patches(d->student), b->mel));
    return mse_loss(walk(d, &all, d->steps, b->noise, &c), teachers_walk(d, &all, d->teacher_steps, b->noise, &c));
}

const trainable DISTIL_MEL_DIT = {MEL_DIT_ROW, .make = make, .teach = teach, .loss = loss, .measure = measure};
