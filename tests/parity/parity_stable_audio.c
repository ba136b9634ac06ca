/* Cases of Stable Audio Open: its autoencoder, diffusion transformer, conditioners, whole models and training steps. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "diffusion/guidance.h"
#include "models/oobleck.h"
#include "models/stable_condition.h"
#include "models/stable_dit.h"
#include "parity.h"
#include "parity_stable_model.h"
#include "systems/t5_text.h"
#include "tensor/ops.h"

/* --- Oobleck --- */

/* Channels first. */
static tensor *as_published(const tensor *t) { return swap_last_two(t); }
static tensor *as_ours(parity_case *c, const char *name) { return swap_last_two(parity_in_f32(c, name)); }

static const oobleck *open_oobleck(parity_case *c) {
    const bool folder = !config_has(parity_info(c), "config");
    const store *s = parity_checkpoint(c);
    const oobleck_config sizes =
        folder ? oobleck_config_read_diffusers(config_load(path_join(parity_path(c, "vae"), "config.json")))
               : oobleck_config_read(parity_config(c));
    binder *b = binder_load(s);
    if (!folder) bind_push(b, "pretransform.model");
    const oobleck *net = oobleck_bind(&sizes, b, oobleck_parts_in(s), false);
    if (!folder) bind_pop(b);
    binder_finish(b, false);
    return net;
}

/* Numbers of each frame from `first` on: [B, N, L]. */
static tensor *half_of(const tensor *pre, int64_t first) { return slice_channels(pre, first, pre->shape[2] / 2); }

static tensor *deviation_of(const tensor *pre) {
    tensor *s = half_of(pre, pre->shape[2] / 2);
    for (int64_t i = 0; i < count(s); i++) f32(s)[i] = oobleck_deviation(f32(s)[i]);
    return s;
}

static tensor *drawn(const tensor *pre, const tensor *noise) {
    tensor *z = half_of(pre, 0);
    const tensor *s = deviation_of(pre);
    for (int64_t i = 0; i < count(z); i++) f32(z)[i] += f32(s)[i] * f32(noise)[i];
    return z;
}

static tensor *divergence_of(const tensor *pre) {
    const tensor *mean = half_of(pre, 0), *s = deviation_of(pre);
    double sum = 0;
    for (int64_t i = 0; i < count(mean); i++) {
        const double m = f32(mean)[i], v = (double) f32(s)[i] * f32(s)[i];
        sum += m * m + v - log(v) - 1;
    }
    const float mean_sum = (float) (sum / (double) (pre->shape[0] * pre->shape[1]));
    return tensor_from(&mean_sum, SHAPE(1));
}

/* Outputs that the case has, by the beginning of their names. */
static void out_if(parity_case *c, const char *name, const tensor *got) {
    if (parity_has_out(c, name)) parity_out(c, name, as_published(got));
}

/* What was made; with bf16 operands the original's, so that each half's own error is seen. */
static const tensor *to_decode(parity_case *c, const char *name, const tensor *made) {
    return operands() == BF16 && parity_has_out(c, name) ? swap_last_two(parity_expected(c, name)) : made;
}

static void compare_encoding(parity_case *c, const oobleck *net, const char *p) {
    if (!parity_has_in(c, format("%saudio", p))) return;
    const tensor *pre = oobleck_encode(net, as_ours(c, format("%saudio", p)));
    if (pre->shape[1] != oobleck_frames(net, parity_in(c, format("%saudio", p))->shape[2]))
        fail(HISS_ERROR_INTERNAL, "%lld frames: another number was announced", (long long) pre->shape[1]);
    out_if(c, format("%spre", p), pre);
    out_if(c, format("%smode", p), half_of(pre, 0));
    out_if(c, format("%sstd", p), deviation_of(pre));
    if (parity_has_out(c, format("%skl", p))) parity_out(c, format("%skl", p), divergence_of(pre));
    if (!parity_has_in(c, format("%snoise", p))) return;
    const tensor *z = drawn(pre, as_ours(c, format("%snoise", p)));
    out_if(c, format("%slatents", p), z);
    out_if(c, format("%ssample", p), z);
    if (*p || !parity_has_in(c, "z"))
        out_if(c, format("%sdecoded", p), oobleck_decode(net, to_decode(c, format("%slatents", p), z)));
    if (parity_has_out(c, format("%sdecoded_mode", p)))
        out_if(c, format("%sdecoded_mode", p), oobleck_decode(net, half_of(to_decode(c, format("%spre", p), pre), 0)));
}

/* stable-audio-tools' chunks: the last one ends with the sound; each is pasted over what came before, half of the overlap cut
 * off at its inner edges. unit: rows of the result to one of a chunk's own length. */
typedef struct {
    int64_t size, overlap, n; /* in rows of what goes in */
    int64_t first;            /* of the chunk at hand */
    int64_t cut_from, cut_to; /* of it, what is pasted */
} chunk;

static int64_t chunk_count(const chunk *k) {
    const int64_t hop = k->size - k->overlap, whole = (k->n - k->size) / hop + 1;
    return whole + ((whole - 1) * hop != k->n - k->size);
}

static void set_chunk(chunk *k, int64_t i, int64_t count_) {
    k->first = i == count_ - 1 ? k->n - k->size : i * (k->size - k->overlap);
    k->cut_from = i ? k->overlap / 2 : 0;
    k->cut_to = k->size - (i == count_ - 1 ? 0 : k->overlap / 2);
}

static void paste(tensor *to, int64_t at, const tensor *part, int64_t from, int64_t until) {
    const int64_t C = to->shape[2];
    memcpy(f32(to) + at * C, f32(part) + from * C, (size_t) ((until - from) * C) * sizeof(float));
}

static int64_t value_in(parity_case *c, const char *name) {
    return config_need_int(config_get(config_get(parity_info(c), "inputs"), name), "value", 0, 1 << 20);
}

static void compare_chunks(parity_case *c, const oobleck *net) {
    if (!parity_has_in(c, "long_latents")) return;
    const int64_t ratio = oobleck_sizes(net)->ratio;
    const tensor *z = as_ours(c, "long_latents"), *x = as_ours(c, "long_audio"),
                 *noise = parity_in_f32(c, "long_noise");
    chunk k = {value_in(c, "chunk_size"), value_in(c, "overlap"), z->shape[1], 0, 0, 0};
    tensor *sound = tensor_zero(F32, shape_of(x)), *latents = tensor_zero(F32, shape_of(z));
    const int64_t n = chunk_count(&k), each = count(noise) / n;
    for (int64_t i = 0; i < n; i++) {
        set_chunk(&k, i, n);
        const tensor *y = oobleck_decode(net, slice_time(z, k.first, k.size));
        paste(sound, (k.first + k.cut_from) * ratio, y, k.cut_from * ratio, k.cut_to * ratio);
        const tensor *own = swap_last_two(tensor_wrap(F32, SHAPE(1, z->shape[2], k.size), f32(noise) + i * each));
        const tensor *pre = oobleck_encode(net, slice_time(x, k.first * ratio, k.size * ratio));
        paste(latents, k.first + k.cut_from, drawn(pre, own), k.cut_from, k.cut_to);
    }
    parity_out(c, "long_decoded", as_published(oobleck_decode(net, z)));
    parity_out(c, "long_decoded_chunked", as_published(sound));
    parity_out(c, "long_encoded_chunked", as_published(latents));
}

/* diffusers' tiles: cores of (tile - 2 overlap) rows with as many as `overlap` more on each side, which are cut off again by
 * the ratio of lengths of the first tile, rounded to even. */
static tensor *tiled(const tensor *x, int64_t tile, int64_t overlap, tensor *(*run)(const void *net, const tensor *x),
                     const void *net) {
    const int64_t n = x->shape[1], core = tile - 2 * overlap;
    tensor *all = NULL;
    double ratio = 0;
    for (int64_t first = 0; first < n; first += core) {
        const int64_t last = first + core < n ? first + core : n, from = first > overlap ? first - overlap : 0,
                      to = last + overlap < n ? last + overlap : n;
        const tensor *y = run(net, slice_time(x, from, to - from));
        if (!all) ratio = (double) y->shape[1] / (double) (to - from);
        const int64_t begin = (int64_t) nearbyint((double) (first - from) * ratio),
                      end = to > last ? y->shape[1] - (int64_t) nearbyint((double) (to - last) * ratio) : y->shape[1];
        tensor *part = slice_time(y, begin, end - begin);
        all = all ? concat_time(all, part) : part;
    }
    return all;
}

static tensor *run_mode(const void *net, const tensor *x) { return half_of(oobleck_encode(net, x), 0); }
static tensor *run_decode(const void *net, const tensor *z) { return oobleck_decode(net, z); }

static void compare_tiles(parity_case *c, const oobleck *net) {
    if (!parity_has_out(c, "mode_tiled")) return;
    const int64_t sound = value_in(c, "tile_sample_min_length"), latent = value_in(c, "tile_latent_min_length");
    const tensor *mode = tiled(as_ours(c, "audio"), sound, value_in(c, "tile_sample_overlap"), run_mode, net);
    parity_out(c, "mode_tiled", as_published(mode));
    const tensor *y = tiled(as_ours(c, "z"), latent, value_in(c, "tile_latent_overlap"), run_decode, net);
    parity_out(c, "decoded_tiled", as_published(y));
}

static void run_oobleck(parity_case *c) {
    const oobleck *net = open_oobleck(c);
    static const char *const NAMES[] = {"", "a_", "b_"};
    for (int i = 0; i < 3; i++) compare_encoding(c, net, NAMES[i]);
    if (parity_has_in(c, "latents")) parity_out(c, "audio", as_published(oobleck_decode(net, as_ours(c, "latents"))));
    if (parity_has_in(c, "z")) {
        const tensor *y = oobleck_decode(net, as_ours(c, "z"));
        out_if(c, "z_decoded", y);
        out_if(c, "decoded", y);
    }
    compare_chunks(c, net);
    compare_tiles(c, net);
}

/* --- the diffusion transformer --- */

static const stable_dit *open_dit(parity_case *c) {
    const stable_dit_config sizes = stable_dit_config_read(parity_config(c));
    binder *b = binder_load(parity_checkpoint(c));
    bind_push(b, "model.model");
    const stable_dit *net = stable_dit_bind(&sizes, b);
    bind_pop(b);
    binder_finish(b, true);
    return net;
}

/* x [B, N, C] at n rows, each the nearest one before. */
static tensor *stretched(const tensor *x, int64_t n) {
    const int64_t B = x->shape[0], N = x->shape[1], C = x->shape[2];
    tensor *y = tensor_new(F32, SHAPE(B, n, C));
    for (int64_t r = 0; r < B * n; r++)
        memcpy(f32(y) + r * C, f32(x) + (r / n * N + r % n * N / n) * C, (size_t) C * sizeof(float));
    return y;
}

/* Inputs of one pass: in.x_b and so on; without conditions for what guidance starts from. */
typedef struct {
    parity_case *c;
    const stable_dit *net;
    const char *suffix;
} pass;

static tensor *input_or_null(parity_case *c, const char *name) {
    return parity_has_in(c, name) ? parity_in_f32(c, name) : NULL;
}

static tensor *predict(const pass *p, const tensor *tokens, const tensor *prepend) {
    const tensor *x = as_ours(p->c, format("x%s", p->suffix)), *concat = NULL;
    const char *beside = format("concat%s", p->suffix);
    if (parity_has_in(p->c, beside)) concat = stretched(as_ours(p->c, beside), x->shape[1]);
    const stable_dit_condition k = {tokens ? stable_dit_attend_to(p->net, tokens) : NULL, input_or_null(p->c, "global"),
                                    prepend, concat};
    return stable_dit_forward(p->net, x, f32(parity_in_f32(p->c, "t")), &k);
}

static tensor *zeros_like(const tensor *t) { return t ? tensor_zero(F32, shape_of(t)) : NULL; }

/* The negative prompt's tokens, masked ones as zeros. */
static tensor *negative_tokens(parity_case *c) {
    tensor *tokens = parity_in_f32(c, "negative");
    const tensor *mask = tensor_to_f32(parity_in(c, "negative_mask"));
    const int64_t E = tokens->shape[2];
    for (int64_t i = 0; i < count(tokens); i++) f32(tokens)[i] *= f32(mask)[i / E];
    return tokens;
}

static void run_dit(parity_case *c) {
    const pass p = {c, open_dit(c), ""}, b = {c, p.net, "_b"};
    const tensor *tokens = input_or_null(c, "cross"), *prepend = input_or_null(c, "prepend");
    const tensor *cond = predict(&p, tokens, prepend);
    parity_out(c, "out", as_published(cond));
    if (parity_has_out(c, "out_b")) parity_out(c, "out_b", as_published(predict(&b, tokens, prepend)));
    if (!parity_has_out(c, "out_cfg")) return;
    const tensor *free = predict(&p, zeros_like(tokens), zeros_like(prepend));
    const guidance seven = {.scale = 7}, five = {.scale = 5, .rescale = 0.7, .each_position = true},
                   four = {.scale = 4};
    parity_out(c, "out_cfg", as_published(guide(&seven, cond, free, NULL, NULL)));
    parity_out(c, "out_cfg_rescaled", as_published(guide(&five, cond, free, NULL, NULL)));
    if (!parity_has_out(c, "out_negative")) return;
    const tensor *away = predict(&p, negative_tokens(c), prepend);
    parity_out(c, "out_negative", as_published(guide(&four, cond, away, NULL, NULL)));
}

/* --- conditioners --- */

/* Texts or numbers that the case gives as values. */
static config values_in(parity_case *c, const char *name) {
    return config_get(config_get(config_get(parity_info(c), "inputs"), name), "value");
}

static double *numbers_in(parity_case *c, const char *name, int64_t *n) {
    const config list = values_in(c, name);
    *n = (int64_t) config_count(list);
    double *values = NEW_ARRAY(double, *n);
    for (int64_t i = 0; i < *n; i++) values[i] = json_number_value(config_at(list, (size_t) i).value);
    return values;
}

static const char **texts_in(parity_case *c, const char *name, int64_t *n) {
    const config list = values_in(c, name);
    *n = (int64_t) config_count(list);
    const char **texts = NEW_ARRAY(const char *, *n);
    for (int64_t i = 0; i < *n; i++) texts[i] = json_string_value(config_at(list, (size_t) i).value);
    return texts;
}

static tensor *integers(const int32_t *values, shape s) {
    tensor *t = tensor_new(I32, s);
    memcpy(t->data, values, tensor_bytes(t));
    return t;
}

static const stable_conditioner *open_conditioner(parity_case *c) {
    const store *s = parity_checkpoint(c);
    stable_conditions sizes = stable_conditions_read(config_get(parity_config(c), "conditioning"));
    stable_conditions_fit(&sizes, s, "conditioner.");
    binder *b = binder_load(s);
    bind_push(b, "conditioner");
    const stable_conditioner *net = stable_conditioner_bind(&sizes, b);
    bind_pop(b);
    binder_finish(b, true);
    return net;
}

static void run_numbers(parity_case *c, const stable_conditioner *net) {
    int64_t n;
    double *values = numbers_in(c, "seconds", &n);
    parity_out(c, "seconds_start", stable_embed_numbers(net, 0, values, n));
    for (int64_t i = 0; i < n / 2; i++) {
        const double kept = values[i];
        values[i] = values[n - 1 - i];
        values[n - 1 - i] = kept;
    }
    parity_out(c, "seconds_total", stable_embed_numbers(net, 1, values, n));
}

static void run_conditioners(parity_case *c) {
    const stable_conditioner *net = open_conditioner(c);
    const stable_condition *items = stable_conditioner_sizes(net)->items;
    if (parity_has_out(c, "prompt")) {
        int64_t n;
        const char **texts = texts_in(c, "prompts", &n);
        const t5_text *encoder = t5_text_open(parity_path(c, "t5-base"), NULL);
        const t5_states t = t5_text_encode(encoder, texts, n, items[0].tokens);
        const tensor *prompt = stable_embed_texts(net, 0, t.states, t.mask);
        const tensor *start = stable_embed_numbers(net, 1, numbers_in(c, "seconds_start_values", &n), n),
                     *total = stable_embed_numbers(net, 2, numbers_in(c, "seconds_total_values", &n), n);
        const int64_t W = prompt->shape[2];
        tensor *seen = tensor_new(U8, SHAPE(n, t.tokens + 2));
        for (int64_t i = 0; i < count(seen); i++) {
            const int64_t at = i % (t.tokens + 2);
            ((uint8_t *) seen->data)[i] =
                at < t.tokens ? ((const uint8_t *) t.mask->data)[i / (t.tokens + 2) * t.tokens + at] : 1;
        }
        parity_out(c, "ids", integers(t.ids, SHAPE(n, t.tokens)));
        parity_out(c, "mask", t.mask);
        parity_out(c, "prompt", prompt);
        parity_out(c, "seconds_start", start);
        parity_out(c, "seconds_total", total);
        parity_out(c, "cross_attn_cond", concat_time(concat_time(prompt, start), total));
        parity_out(c, "cross_attn_mask", seen);
        parity_out(c, "global_cond", concat_channels(reshape(start, SHAPE(n, W)), reshape(total, SHAPE(n, W))));
        return;
    }
    run_numbers(c, net);
}

const parity_row PARITY_STABLE_AUDIO[] = {{"stable_audio_open", "oobleck", run_oobleck},
                                          {"stable_audio_open", "dit", run_dit},
                                          {"stable_audio_open", "conditioners", run_conditioners},
                                          {"stable_audio_open", "text_to_audio", run_whole_model},
                                          {"stable_audio_open", "inpainting", run_inpainting_model},
                                          {"stable_audio_open", "audio", run_prepare_audio},
                                          {"stable_audio_open", "training", run_stable_training},
                                          {"stable_audio_open", "discriminator", run_discriminator},
                                          {0}};
