/* The configurations of stable_dit.h. What the original has and no published model uses is refused by name. */
#include <string.h>

#include "base/text.h"
#include "models/stable_dit.h"

enum { MOST_BLOCKS = 256, LEAST_ROTARY = 32 };

static objective objective_read(config c) {
    static const char *const NAMES[] = {"v", "rectified_flow", "rf_denoiser"};
    const char *name = config_string(c, "diffusion_objective", "v");
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, NAMES[i])) return i ? PREDICT_FLOW : PREDICT_V;
    fail(HISS_ERROR_FORMAT, "%s: diffusion_objective '%s': %s", c.where, name, suggest(name, NAMES, 3));
}

static qk_norm qk_norm_read(config c) {
    static const char *const NAMES[] = {"none", "ln", "l2"};
    if (!config_has(c, "attn_kwargs")) return QK_PLAIN;
    const config own = config_get(c, "attn_kwargs");
    static const char *const KNOWN[] = {"qk_norm", "natten_kernel_size", "flash_attn", NULL};
    config_only(own, KNOWN);
    if (config_has(own, "natten_kernel_size"))
        fail(HISS_ERROR_FORMAT, "%s: attention among neighbours alone is not in hiss", own.where);
    const char *name = config_string(own, "qk_norm", "none");
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, NAMES[i])) return (qk_norm) i;
    fail(HISS_ERROR_FORMAT, "%s: qk_norm '%s': %s", own.where, name, suggest(name, NAMES, 3));
}

static int64_t inner_read(config c, int64_t width) {
    double times = 4;
    if (config_has(c, "ff_kwargs")) {
        static const char *const KNOWN[] = {"mult", NULL};
        const config own = config_get(c, "ff_kwargs");
        config_only(own, KNOWN);
        times = config_number(own, "mult", 4, 0.01, 64);
    }
    return (int64_t) ((double) width * times);
}

/* Branches of the original that no published model has. */
static void refuse_others(config c) {
    static const struct {
        const char *key, *only;
    } TEXTS[] = {{"transformer_type", "continuous_transformer"}, {"timestep_cond_type", "global"}};
    static const char *const OFF[] = {"causal", "use_sinusoidal_emb", "use_abs_pos_emb", "conformer"};
    for (int i = 0; i < 2; i++) {
        const char *word = config_string(c, TEXTS[i].key, i ? TEXTS[i].only : "x-transformers");
        if (strcmp(word, TEXTS[i].only) != 0)
            fail(HISS_ERROR_FORMAT, "%s: %s '%s': hiss has '%s'", c.where, TEXTS[i].key, word, TEXTS[i].only);
    }
    for (int i = 0; i < 4; i++)
        if (config_bool(c, OFF[i], false)) fail(HISS_ERROR_FORMAT, "%s: %s is not in hiss", c.where, OFF[i]);
    if (!config_bool(c, "rotary_pos_emb", true))
        fail(HISS_ERROR_FORMAT, "%s: without rotary positions: not in hiss", c.where);
}

static void check_config(const stable_dit_config *r, config c) {
    const int64_t head = r->width / r->heads;
    if (r->width % r->heads)
        fail(HISS_ERROR_FORMAT, "%s: a width of %lld is no multiple of %lld heads", c.where, (long long) r->width,
             (long long) r->heads);
    if (r->rotary > head || r->rotary % 2)
        fail(HISS_ERROR_FORMAT, "%s: heads of %lld are too narrow: at least %d are turned", c.where, (long long) head,
             LEAST_ROTARY);
    if (r->tokens && (r->token_width % head || r->heads % r->token_heads))
        fail(HISS_ERROR_FORMAT, "%s: tokens of width %lld cannot be shared by %lld heads of %lld", c.where,
             (long long) r->token_width, (long long) r->heads, (long long) head);
    if (r->inner < 1 || r->inner > 1 << 20) fail(HISS_ERROR_FORMAT, "%s: ff_kwargs: mult is too large", c.where);
}

stable_dit_config stable_dit_config_read(config c) {
    static const char *const KNOWN[] = {"io_channels",
                                        "embed_dim",
                                        "depth",
                                        "num_heads",
                                        "cond_token_dim",
                                        "global_cond_dim",
                                        "project_cond_tokens",
                                        "project_global_cond",
                                        "transformer_type",
                                        "global_cond_type",
                                        "timestep_cond_type",
                                        "input_concat_dim",
                                        "prepend_cond_dim",
                                        "patch_size",
                                        "num_memory_tokens",
                                        "attn_kwargs",
                                        "ff_kwargs",
                                        "diffusion_objective",
                                        "causal",
                                        "use_sinusoidal_emb",
                                        "use_abs_pos_emb",
                                        "conformer",
                                        "rotary_pos_emb",
                                        "zero_init_branch_outputs",
                                        NULL};
    config_only(c, KNOWN);
    refuse_others(c);
    stable_dit_config r = {.channels = config_int(c, "io_channels", 32, 1, 8192),
                           .width = config_int(c, "embed_dim", 768, 2, 16384),
                           .depth = config_int(c, "depth", 12, 1, MOST_BLOCKS),
                           .heads = config_int(c, "num_heads", 8, 1, 512),
                           .tokens = config_int(c, "cond_token_dim", 0, 0, 16384),
                           .global = config_int(c, "global_cond_dim", 0, 0, 65536),
                           .prepend = config_int(c, "prepend_cond_dim", 0, 0, 16384),
                           .concat = config_int(c, "input_concat_dim", 0, 0, 8192),
                           .patch = config_int(c, "patch_size", 1, 1, 64),
                           .memory = config_int(c, "num_memory_tokens", 0, 0, 4096)};
    const int64_t head = r.width / r.heads;
    const char *how = config_string(c, "global_cond_type", "prepend");
    r.modulated = !strcmp(how, "adaLN");
    if (!r.modulated && strcmp(how, "prepend") != 0)
        fail(HISS_ERROR_FORMAT, "%s: global_cond_type '%s': hiss has 'prepend' and 'adaLN'", c.where, how);
    r.inner = inner_read(c, r.width);
    r.norm = qk_norm_read(c);
    r.predicts = objective_read(c);
    r.rotary = head / 2 > LEAST_ROTARY ? head / 2 : LEAST_ROTARY;
    r.token_width = config_bool(c, "project_cond_tokens", true) ? r.width : r.tokens;
    r.token_heads = r.tokens && head && r.token_width >= head ? r.token_width / head : 1;
    if (r.global && !config_bool(c, "project_global_cond", true) && r.global != r.width)
        fail(HISS_ERROR_FORMAT, "%s: project_global_cond is off, but global_cond_dim is not embed_dim", c.where);
    check_config(&r, c);
    return r;
}

stable_dit_config stable_dit_config_read_diffusers(config c) {
    const int64_t head = config_int(c, "attention_head_dim", 64, 2, 512);
    stable_dit_config r = {.channels = config_int(c, "in_channels", 64, 1, 8192),
                           .depth = config_int(c, "num_layers", 24, 1, MOST_BLOCKS),
                           .heads = config_int(c, "num_attention_heads", 24, 1, 512),
                           .tokens = config_int(c, "cross_attention_input_dim", 768, 1, 16384),
                           .token_width = config_int(c, "cross_attention_dim", 768, 1, 16384),
                           .token_heads = config_int(c, "num_key_value_attention_heads", 12, 1, 512),
                           .global = config_int(c, "global_states_input_dim", 1536, 1, 65536),
                           .patch = 1,
                           .predicts = PREDICT_V,
                           .diffusers = true};
    r.width = head * r.heads;
    r.inner = 4 * r.width;
    r.rotary = head / 2;
    if (config_int(c, "out_channels", r.channels, 1, 8192) != r.channels)
        fail(HISS_ERROR_FORMAT, "%s: as many out_channels as in_channels are needed", c.where);
    if (config_int(c, "time_proj_dim", 256, 1, 65536) != 2 * STABLE_DIT_WAVES)
        fail(HISS_ERROR_FORMAT, "%s: time_proj_dim must be %d", c.where, 2 * STABLE_DIT_WAVES);
    if (r.token_width != head * r.token_heads)
        fail(HISS_ERROR_FORMAT, "%s: cross_attention_dim is not that of its heads", c.where);
    check_config(&r, c);
    return r;
}
