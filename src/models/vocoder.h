/* hiss's own vocoder, its network: a log-mel spectrogram of the front end "hiss" to what each bin of the short-time spectrum
 * holds, a steady amplitude and a noise level (rician.h). Blocks of ConvNeXt (Liu et al. 2022, arXiv 2201.03545) at frame
 * rate, as Vocos (Siuzdak 2023, arXiv 2306.00814) has them. The sound comes from src/systems/vocoder.c.
 * B batch, F frames, M mels, K bins. */
#ifndef HISS_MODELS_VOCODER_H
#define HISS_MODELS_VOCODER_H

#include "nn/bind.h"
#include "signal/mel.h"

enum { VOCODER_MOST_BLOCKS = 64 };

typedef struct {
    int64_t channels, blocks, widen;        /* C; how many; hidden channels over C */
    int64_t kernel;                         /* odd */
    int64_t dilations[VOCODER_MOST_BLOCKS]; /* of each block */
} vocoder_config;

typedef struct vocoder vocoder;

/* Keys: channels, blocks, widen, kernel, dilations (repeated over the blocks). */
vocoder_config vocoder_config_read(config c);
vocoder *vocoder_bind(const vocoder_config *c, binder *b);
/* The mel it takes. */
mel_front vocoder_front(void);
/* Frames to each side that an output depends on. */
int64_t vocoder_halo(const vocoder *net);

/* mel [B, F, M] -> [B, F, 2K], to be read by rician_read. */
tensor *vocoder_forward(const vocoder *net, const tensor *mel);

#endif
