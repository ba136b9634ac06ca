/* The generators of HiFi-GAN (Kong et al. 2020, arXiv 2010.05646; jik876's files, Hugging Face's form, and as bundled in
 * AudioLDM's) and BigVGAN (Lee et al. 2023, arXiv 2206.04658; versions 1 and 2): a mel spectrogram to sound in one pass of
 * transposed convolutions and residual blocks. Made for singing; HiFi-GAN's can be recorded too.
 * B batch, F frames, M mels, T samples. */
#ifndef HISS_MODELS_GENERATOR_H
#define HISS_MODELS_GENERATOR_H

#include "nn/bind.h"

enum { GENERATOR_MOST = 16 /* stages, kernels of a stage, dilations of a block */ };

typedef enum { GENERATOR_LEAKY, GENERATOR_SNAKE, GENERATOR_SNAKEBETA } generator_activation;

typedef struct {
    int64_t mels, channels; /* M; after the first convolution */
    int stages, kernels, dilations;
    int64_t rates[GENERATOR_MOST], widths[GENERATOR_MOST]; /* of a stage's transposed convolution: stride, kernel */
    int64_t block_kernels[GENERATOR_MOST], block_dilations[GENERATOR_MOST][GENERATOR_MOST];
    bool short_blocks; /* "resblock 2": one convolution a dilation */
    generator_activation activation;
    bool snake_logs;         /* alpha and beta are logarithms */
    bool tanh_end, bias_end; /* else clamped to +-1; the last convolution's bias */
    float slope;             /* of leaky ReLUs, but for the last one */
    bool normalise;          /* (mel - mean) / scale first */
    bool has_moments;        /* mean and scale are in the file */
    const char *up;          /* how the file calls the transposed convolutions: "ups.%d", "upsampler.%d", "ups.%d.0" */
    const char *prefix;      /* of all names, or "" */
} generator_config;

typedef struct generator generator;

/* Keys as in the originals' config.json: num_mels or model_in_dim, upsample_rates, upsample_kernel_sizes,
 * upsample_initial_channel, resblock ("1", "2"), resblock_kernel_sizes, resblock_dilation_sizes, activation ("snake",
 * "snakebeta"), snake_logscale, use_tanh_at_final, use_bias_at_final, leaky_relu_slope, normalize_before. What the names of
 * the file say is taken from there. */
generator_config generator_config_read(config c, const store *s);
generator *generator_bind(const generator_config *c, binder *b);

/* Samples a frame; frames to each side that a sample depends on, at most; samples of n frames (a little more than n times a
 * frame's where kernels less strides are odd). */
int64_t generator_hop(const generator_config *c);
int64_t generator_halo(const generator_config *c);
int64_t generator_samples(const generator_config *c, int64_t frames);
const generator_config *generator_sizes(const generator *net);

/* mel [B, F, M] -> [B, T] within +-1. Recorded where activations are leaky and the end is tanh: of the parameters, not of mel. Kernels
 * of transposed convolutions are made once, so that only what is recorded follows parameters that change. */
tensor *generator_forward(const generator *net, const tensor *mel);

#endif
