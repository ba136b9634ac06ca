/* See stable_asked.h. */
#include "systems/stable_asked.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "systems/t5_text.h"
#include "tensor/ops.h"

enum { LONGEST_PROMPT = 8192 };

/* --- what is asked for --- */

static void check_prompt(const char *what, const char *text) {
    if (text && strlen(text) > LONGEST_PROMPT)
        fail(HISS_ERROR_ARGUMENT, "the %s has %zu characters; at most %d are taken", what, strlen(text),
             LONGEST_PROMPT);
}

static void refuse_others(const model *m, const sound_request *r) {
    const char *asked = r->mel                                    ? "a rough mel"
                        : r->reference && r->reference != r->init ? "a reference"
                        : r->blend                                ? "a second prompt"
                        : r->melody                               ? "a melody"
                        : r->chords                               ? "chords"
                        : r->vocoder                              ? "a vocoder"
                                                                  : NULL;
    if (asked) fail(HISS_ERROR_ARGUMENT, "%s cannot be asked for %s", m->path, asked);
}

/* The first condition of this kind, or NULL. */
static const stable_condition *condition_of(const stable_audio *net, stable_condition_kind kind) {
    const stable_conditions *c = net->conditioner ? stable_conditioner_sizes(net->conditioner) : NULL;
    for (int i = 0; c && i < c->count; i++)
        if (c->items[i].kind == kind) return &c->items[i];
    return NULL;
}

/* One pass of the text encoder for both texts; it goes again before the walk. */
static void encode_texts(stable_asked *a, const model *m, const sound_request *r) {
    const stable_audio *net = m->network;
    const stable_condition *k = condition_of(net, CONDITION_TEXT);
    if (!k) {
        if (r->prompt || r->negative) fail(HISS_ERROR_ARGUMENT, "%s follows no prompts", m->path);
        return;
    }
    const int index = (int) (k - stable_conditioner_sizes(net->conditioner)->items);
    const char *texts[] = {r->prompt ? r->prompt : "", r->negative};
    const int64_t n = r->negative ? 2 : 1, W = stable_conditioner_sizes(net->conditioner)->width;
    const stable_text_files files = stable_text_find(&net->files, k->t5, r->text_encoder);
    scope_begin();
    const t5_states t = t5_text_encode(t5_text_open(files.folder, files.tokenizer), texts, n, k->tokens);
    tensor *both = scope_end_keep(stable_embed_texts(net->conditioner, index, t.states, t.mask));
    memory_trim(); /* the text encoder is a fifth of the memory that all the rest takes */
    tensor *row[2];
    for (int64_t i = 0; i < n; i++) {
        row[i] = tensor_new(F32, SHAPE(1, k->tokens, W));
        memcpy(row[i]->data, f32(both) + i * k->tokens * W, tensor_bytes(row[i]));
    }
    a->texts = row[0];
    if (r->negative) a->negatives = row[1];
}

/* "name=value,...": numbers and integers that are not told by seconds and start. */
static void set_values(stable_asked *a, const model *m, const sound_request *r) {
    const stable_audio *net = m->network;
    const stable_conditions *c = net->conditioner ? stable_conditioner_sizes(net->conditioner) : NULL;
    const char *names[STABLE_MOST_CONDITIONS];
    size_t known = 0, n = 0;
    for (int i = 0; c && i < c->count; i++) {
        if (c->items[i].kind != CONDITION_TEXT) names[known++] = c->items[i].id;
        a->values[i] = c->items[i].least;
    }
    char **pieces = r->set ? split(r->set, ',', &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        char *value = strchr(pieces[i], '=');
        if (value) *value++ = 0;
        const int index = c && value ? stable_condition_find(c, pieces[i]) : -1;
        if (index < 0 || c->items[index].kind == CONDITION_TEXT)
            fail(HISS_ERROR_ARGUMENT, "--set %s: give NAME=NUMBER: %s", pieces[i], suggest(pieces[i], names, known));
        if (!parse_double(value, -1e6, 1e6, &a->values[index]))
            fail(HISS_ERROR_ARGUMENT, "--set %s: '%s' is not a number", pieces[i], value);
    }
}

/* Where conditions have these names they are told by what is asked; those that are set stay. */
static void set_seconds(stable_asked *a, const model *m, const char *id, double value, const sound_request *r) {
    const stable_audio *net = m->network;
    const int index = net->conditioner ? stable_condition_find(stable_conditioner_sizes(net->conditioner), id) : -1;
    if (index >= 0 && !(r->set && strstr(r->set, format("%s=", id)))) a->values[index] = value;
}

static void close_home(void *asked) { scope_destroy(((stable_asked *) asked)->home); }

/* Longer sounds than the window are told as long as they are where the network knows where a window begins, else as windows. */
static double seconds_told(const model *m, double seconds) {
    const stable_audio *net = m->network;
    const stable_conditions *c = net->conditioner ? stable_conditioner_sizes(net->conditioner) : NULL;
    const double window = (double) oobleck_samples(net->autoencoder, net->window) / m->rate;
    if (seconds <= window || (c && stable_condition_find(c, "seconds_start") >= 0)) return seconds;
    return window;
}

stable_asked *stable_ask(const model *m, const sound_request *r, int64_t samples) {
    stable_asked *a = NEW(stable_asked);
    check_prompt("prompt", r->prompt);
    check_prompt("negative prompt", r->negative);
    refuse_others(m, r);
    a->guidance = (guidance){.scale = r->guidance, .rescale = r->rescale, .each_position = true};
    a->seconds = (double) samples / m->rate;
    a->begin = NAN;
    a->home = scope_create();
    defer(close_home, a);
    encode_texts(a, m, r);
    set_values(a, m, r);
    set_seconds(a, m, "seconds_start", r->start, r);
    set_seconds(a, m, "seconds_total", r->start + seconds_told(m, a->seconds), r);
    return a;
}

/* --- conditions of a window --- */

static const tensor *condition_rows(const stable_audio *net, const stable_asked *a, int index, double begin,
                                    const tensor *texts) {
    const stable_condition *k = &stable_conditioner_sizes(net->conditioner)->items[index];
    if (k->kind == CONDITION_TEXT) return texts;
    const double value = a->values[index] + (strcmp(k->id, "seconds_start") ? 0 : begin);
    return stable_embed_numbers(net->conditioner, index, &value, 1);
}

/* [1, all S, W], NULL for an empty list. */
static const tensor *tokens_of(const stable_audio *net, const stable_asked *a, const condition_list *list, double begin,
                               const tensor *texts) {
    const tensor *all = NULL;
    for (int i = 0; i < list->count; i++) {
        const tensor *rows = condition_rows(net, a, list->items[i], begin, texts);
        all = all ? concat_time(all, rows) : rows;
    }
    return all;
}

stable_inputs stable_inputs_of(const model *m, const stable_asked *a, double begin) {
    const stable_audio *net = m->network;
    stable_inputs r = {.tokens = tokens_of(net, a, &net->cross, begin, a->texts),
                       .prepend = tokens_of(net, a, &net->prepend, begin, a->texts)};
    if (r.tokens && a->guidance.scale != 1)
        r.away =
            a->negatives ? tokens_of(net, a, &net->cross, begin, a->negatives) : tensor_zero(F32, shape_of(r.tokens));
    const tensor *vector = tokens_of(net, a, &net->global, begin, a->texts);
    if (vector) r.vector = reshape(vector, SHAPE(1, count(vector))); /* channels one after another */
    return r;
}

tensor *stable_stacked(const tensor *first, const tensor *second) {
    require(first && second);
    shape s = shape_of(first);
    s.dims[0] = 2;
    tensor *y = tensor_new(F32, s);
    memcpy(y->data, first->data, tensor_bytes(first));
    memcpy((char *) y->data + tensor_bytes(first), second->data, tensor_bytes(second));
    return y;
}

bool stable_is_guided(const stable_audio *net, const stable_asked *a) {
    return a->guidance.scale != 1 && (net->cross.count || net->prepend.count);
}

void stable_set_window(const model *m, stable_asked *a, double begin) {
    if (a->begin == begin) return;
    const stable_audio *net = m->network;
    const bool guided = stable_is_guided(net, a);
    scope_destroy(a->home);
    a->home = scope_create();
    scope *before = scope_switch(a->home);
    const stable_inputs k = stable_inputs_of(m, a, begin);
    a->context = k.tokens ? stable_dit_attend_to(net->dit, guided ? stable_stacked(k.tokens, k.away) : k.tokens) : NULL;
    a->vector = k.vector && guided ? stable_stacked(k.vector, k.vector) : k.vector;
    a->prepend = k.prepend && guided ? stable_stacked(k.prepend, tensor_zero(F32, shape_of(k.prepend))) : k.prepend;
    a->begin = begin;
    scope_switch(before);
}
