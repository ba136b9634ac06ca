/* The published configurations of Oobleck: see oobleck.h. */
#include <string.h>

#include "models/oobleck.h"

/* Lists as they are published: from the rate of the sound down. */
static void read_lists(oobleck_half *h, config c, const char *widths, const char *strides) {
    static const int64_t WIDTHS[] = {1, 2, 4, 8}, STRIDES[] = {2, 4, 8, 8};
    const int n = config_integers(c, widths, h->widths, OOBLECK_MOST_STAGES, 1024);
    h->stages = config_integers(c, strides, h->strides, OOBLECK_MOST_STAGES, 64);
    if (!n && !h->stages) {
        h->stages = 4;
        memcpy(h->widths, WIDTHS, sizeof WIDTHS);
        memcpy(h->strides, STRIDES, sizeof STRIDES);
    } else if (n != h->stages) {
        fail(HISS_ERROR_FORMAT, "%s: %d %s but %d %s", c.where, n, widths, h->stages, strides);
    }
    for (int i = 0; i < h->stages; i++)
        if (h->channels * h->widths[i] > 65536)
            fail(HISS_ERROR_FORMAT, "%s: %lld channels are too many", c.where,
                 (long long) (h->channels * h->widths[i]));
}

static config read_half(oobleck_half *h, config c, const char *which) {
    const config part = config_get(c, which), own = config_get(part, "config");
    const char *type = config_need_string(part, "type");
    if (strcmp(type, "oobleck") != 0)
        fail(HISS_ERROR_FORMAT, "%s: %s of type '%s': hiss has 'oobleck'", c.where, which, type);
    h->channels = config_int(own, "channels", 128, 1, 4096);
    h->snake = config_bool(own, "use_snake", false);
    h->ends = config_int(own, "latent_dim", 32, 1, 8192);
    read_lists(h, own, "c_mults", "strides");
    static const char *const OTHERS[] = {"antialias_activation", "use_nearest_upsample"};
    for (int i = 0; i < 2; i++)
        if (config_bool(own, OTHERS[i], false))
            fail(HISS_ERROR_FORMAT, "%s: %s is not in hiss's Oobleck", own.where, OTHERS[i]);
    return own;
}

/* Both halves must turn the same number of samples into a frame. */
static void check_ratio(oobleck_config *r, config c) {
    int64_t ratio[2] = {1, 1};
    const oobleck_half *halves[2] = {&r->encoder, &r->decoder};
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < halves[h]->stages; i++) {
            ratio[h] *= halves[h]->strides[i];
            if (ratio[h] > 1 << 20) fail(HISS_ERROR_FORMAT, "%s: the strides are too large", c.where);
        }
    if (ratio[0] != ratio[1])
        fail(HISS_ERROR_FORMAT, "%s: the encoder takes %lld samples a frame, the decoder gives %lld", c.where,
             (long long) ratio[0], (long long) ratio[1]);
    r->ratio = ratio[0];
}

oobleck_config oobleck_config_read(config c) {
    oobleck_config r = {0};
    const config encoder = read_half(&r.encoder, c, "encoder"), decoder = read_half(&r.decoder, c, "decoder");
    r.audio = config_int(decoder, "out_channels", 2, 1, 64);
    if (config_int(encoder, "in_channels", 2, 1, 64) != r.audio)
        fail(HISS_ERROR_FORMAT, "%s: the encoder takes other channels than the decoder gives", c.where);
    r.tanh_end = config_bool(decoder, "final_tanh", true);
    const char *bottleneck =
        config_has(c, "bottleneck") ? config_need_string(config_get(c, "bottleneck"), "type") : NULL;
    if (bottleneck && strcmp(bottleneck, "vae") != 0)
        fail(HISS_ERROR_FORMAT, "%s: a bottleneck of type '%s': hiss has 'vae'", c.where, bottleneck);
    r.variational = bottleneck != NULL;
    r.latent = r.decoder.ends;
    if (r.encoder.ends != r.latent * (r.variational ? 2 : 1))
        fail(HISS_ERROR_FORMAT, "%s: the encoder gives %lld numbers a frame, the decoder takes %lld", c.where,
             (long long) r.encoder.ends, (long long) r.latent);
    check_ratio(&r, c);
    return r;
}

oobleck_config oobleck_config_read_diffusers(config c) {
    static const int64_t WIDTHS[] = {1, 2, 4, 8, 16}, STRIDES[] = {2, 4, 4, 8, 8};
    oobleck_config r = {.variational = true, .diffusers = true};
    r.audio = config_int(c, "audio_channels", 2, 1, 64);
    r.encoder.channels = r.encoder.ends = config_int(c, "encoder_hidden_size", 128, 1, 4096);
    r.decoder.channels = config_int(c, "decoder_channels", 128, 1, 4096);
    r.latent = r.decoder.ends = config_int(c, "decoder_input_channels", 64, 1, 4096);
    r.encoder.snake = r.decoder.snake = true;
    oobleck_half *h = &r.decoder;
    read_lists(h, c, "channel_multiples", "downsampling_ratios");
    if (!config_has(c, "downsampling_ratios")) {
        h->stages = 5;
        memcpy(h->widths, WIDTHS, sizeof WIDTHS);
        memcpy(h->strides, STRIDES, sizeof STRIDES);
    }
    r.encoder.stages = h->stages;
    memcpy(r.encoder.widths, h->widths, sizeof h->widths);
    memcpy(r.encoder.strides, h->strides, sizeof h->strides);
    if (r.encoder.ends != 2 * r.latent)
        fail(HISS_ERROR_FORMAT, "%s: encoder_hidden_size must be twice decoder_input_channels", c.where);
    check_ratio(&r, c);
    return r;
}
