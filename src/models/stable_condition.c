/* See stable_condition.h. */
#include "models/stable_condition.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "nn/layers.h"

enum { WAVES = 128 };

typedef struct {
    const tensor *waves; /* [128] */
    affine out;          /* [W, 257], of numbers; [W, E], of texts */
    const tensor *table; /* [integers, W] */
} part;

struct stable_conditioner {
    stable_conditions sizes;
    part parts[STABLE_MOST_CONDITIONS];
};

/* --- configuration --- */

static void read_text(stable_condition *to, config c) {
    to->kind = CONDITION_TEXT;
    to->tokens = config_int(c, "max_length", 128, 1, 4096);
    to->t5 = config_string(c, "t5_model_name", "t5-base");
    if (config_bool(c, "project_out", false)) to->text_width = 1; /* the file tells how wide */
}

static void read_range(stable_condition *to, config c, stable_condition_kind kind, double most) {
    static const double LARGEST = 1e6;
    to->kind = kind;
    to->least = config_number(c, "min_val", 0, kind == CONDITION_INTEGER ? 0 : -LARGEST, LARGEST);
    to->most = config_number(c, "max_val", most, -LARGEST, LARGEST);
    if (!(to->least < to->most)) fail(HISS_ERROR_FORMAT, "%s: max_val must be above min_val", c.where);
}

static stable_condition read_condition(config c) {
    const char *type = config_need_string(c, "type");
    const config own = config_get(c, "config");
    stable_condition r = {.id = config_need_string(c, "id")};
    if (!strcmp(type, "t5")) read_text(&r, own);
    else if (!strcmp(type, "number")) read_range(&r, own, CONDITION_NUMBER, 1);
    else if (!strcmp(type, "int")) read_range(&r, own, CONDITION_INTEGER, 512);
    else
        fail(HISS_ERROR_FORMAT, "%s: the condition '%s' is of type '%s': hiss has t5, number and int", c.where, r.id,
             type);
    return r;
}

stable_conditions stable_conditions_read(config c) {
    const config list = config_get(c, "configs");
    stable_conditions r = {.width = config_need_int(c, "cond_dim", 1, 16384)};
    if (!json_is_array(list.value) || config_count(list) > STABLE_MOST_CONDITIONS)
        fail(HISS_ERROR_FORMAT, "%s: a list of at most %d conditions is needed", list.where, STABLE_MOST_CONDITIONS);
    for (; r.count < (int) config_count(list); r.count++)
        r.items[r.count] = read_condition(config_at(list, (size_t) r.count));
    return r;
}

stable_conditions stable_conditions_read_diffusers(config c, int64_t tokens) {
    const double least = config_number(c, "min_value", 0, 0, 1e6), most = config_number(c, "max_value", 512, 0, 1e6);
    stable_conditions r = {.count = 3, .width = config_int(c, "conditioning_dim", 768, 1, 16384), .diffusers = true};
    const int64_t wide = config_int(c, "text_encoder_dim", 768, 1, 16384);
    if (!(least < most)) fail(HISS_ERROR_FORMAT, "%s: max_value must be above min_value", c.where);
    r.items[0] = (stable_condition){"prompt", CONDITION_TEXT, 0, 0, tokens, NULL, wide == r.width ? 0 : wide};
    r.items[1] = (stable_condition){"seconds_start", CONDITION_NUMBER, least, most, 0, NULL, 0};
    r.items[2] = (stable_condition){"seconds_total", CONDITION_NUMBER, least, most, 0, NULL, 0};
    return r;
}

int stable_condition_find(const stable_conditions *c, const char *id) {
    for (int i = 0; i < c->count; i++)
        if (!strcmp(c->items[i].id, id)) return i;
    return -1;
}

void stable_conditions_fit(stable_conditions *c, const store *s, const char *prefix) {
    for (int i = 0; i < c->count && !c->diffusers; i++) {
        const char *name = format("%sconditioners.%s.proj_out.weight", prefix, c->items[i].id);
        if (c->items[i].kind != CONDITION_TEXT) continue;
        if (store_find(s, name)) c->items[i].text_width = store_dimension(s, name, 1, 0);
        else if (c->items[i].text_width)
            fail(HISS_ERROR_FORMAT, "%s: %s is missing, but the configuration says project_out", store_path(s), name);
    }
}

/* --- binding --- */

/* The name before a number's waves and its layer. */
static const char *number_name(const stable_conditions *c, const stable_condition *k) {
    if (!c->diffusers) return format("conditioners.%s.embedder.embedding", k->id);
    const char *which = !strcmp(k->id, "seconds_start") ? "start" : "end";
    return format("%s_number_conditioner.time_positional_embedding", which);
}

static part bind_part(const stable_conditions *c, const stable_condition *k, binder *b) {
    part p = {0};
    switch (k->kind) {
    case CONDITION_NUMBER:
        bind_push(b, "%s", number_name(c, k));
        p.waves = bind(b, "0.weights", SHAPE(WAVES), (init){INIT_NORMAL, 0, 0});
        p.out = bind_linear(b, "1", c->width, 2 * WAVES + 1);
        bind_pop(b);
        break;
    case CONDITION_INTEGER:
        p.table = bind(b, format("conditioners.%s.int_embedder.weight", k->id),
                       SHAPE((int64_t) (k->most - k->least) + 1, c->width), (init){INIT_NORMAL, 0, 0});
        break;
    case CONDITION_TEXT:
        if (k->text_width)
            p.out = bind_linear(b, c->diffusers ? "text_projection" : format("conditioners.%s.proj_out", k->id),
                                c->width, k->text_width);
        break;
    }
    return p;
}

stable_conditioner *stable_conditioner_bind(const stable_conditions *c, binder *b) {
    stable_conditioner *net = NEW(stable_conditioner);
    net->sizes = *c;
    for (int i = 0; i < c->count; i++) net->parts[i] = bind_part(c, &c->items[i], b);
    return net;
}

const stable_conditions *stable_conditioner_sizes(const stable_conditioner *net) { return &net->sizes; }

/* --- forward --- */

static double within(double value, double least, double most) { return fmin(fmax(value, least), most); }

/* The place y between least and most, its sines, its cosines. */
static tensor *embed_places(const part *p, const stable_condition *k, const double *values, int64_t B) {
    float *places = NEW_ARRAY(float, B);
    for (int64_t b = 0; b < B; b++)
        places[b] = (float) ((within((float) values[b], k->least, k->most) - k->least) / (k->most - k->least));
    const tensor *waves = fourier_waves(places, B, p->waves, false);
    return apply_linear(p->out, concat_channels(tensor_from(places, SHAPE(B, 1)), waves));
}

/* The table begins with 0 whatever the least is, as in the original; what lies beyond it is its last row. */
static tensor *embed_integers(const part *p, const stable_condition *k, const double *values, int64_t B) {
    int32_t *rows = NEW_ARRAY(int32_t, B);
    const double last = (double) p->table->shape[0] - 1;
    for (int64_t b = 0; b < B; b++) rows[b] = (int32_t) fmin(within(values[b], k->least, k->most), last);
    return embedding(p->table, rows, B);
}

tensor *stable_embed_numbers(const stable_conditioner *net, int index, const double *values, int64_t B) {
    const part *p = &net->parts[index];
    const stable_condition *k = &net->sizes.items[index];
    tensor *y = p->table ? embed_integers(p, k, values, B) : embed_places(p, k, values, B);
    return reshape(y, SHAPE(B, 1, net->sizes.width));
}

tensor *stable_embed_texts(const stable_conditioner *net, int index, const tensor *states, const tensor *mask) {
    const part *p = &net->parts[index];
    const int64_t W = net->sizes.width, E = net->sizes.items[index].text_width ? net->sizes.items[index].text_width : W;
    if (states->shape[2] != E)
        fail(HISS_ERROR_FORMAT, "the text encoder gives %lld numbers a token, the model takes %lld: is it another T5?",
             (long long) states->shape[2], (long long) E);
    const tensor *y = p->out.weight ? apply_linear(p->out, states) : states;
    tensor *kept = tensor_new(F32, shape_of(y));
    for (int64_t i = 0, n = count(kept); i < n; i++) f32(kept)[i] = ((const uint8_t *) mask->data)[i / W] ? 1 : 0;
    return multiply(y, kept, F32);
}
