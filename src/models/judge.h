/* A judge of sounds: a small classifier on log-mel spectrograms, hiss's own. It tells whether a generated sound is what was asked
 * for, beside recordings it has not heard.
 *
 * The level is removed: ln of mel magnitudes counts from the clip's loudest down `range` nats. Neighbouring bands are averaged, and
 * frames over spans of one frame at the onset that grow later; mean and standard deviation of each band over the clip come beside
 * them. A layer of hidden units under dropout tells the classes.
 * B clips, F frames, M mels, D pooled features, H hidden units, K classes. */
#ifndef HISS_MODELS_JUDGE_H
#define HISS_MODELS_JUDGE_H

#include "nn/bind.h"
#include "signal/mel.h"

typedef struct {
    int64_t hop, n_fft;         /* samples, of the front end */
    int64_t mels, bands;        /* M, and after averaging */
    int64_t frames, hidden;     /* F of a clip, H */
    int64_t classes;            /* K */
    double range;               /* nats */
    double dropout_in, dropout; /* parts of features and hidden units left out in training */
    double noise;               /* added to features in training, in standard deviations */
} judge_config;

typedef struct judge judge;

/* Keys: hop_samples (512), n_fft (2048), n_mels (128), bands (32), hidden (128), range (10), dropout_in (0.3), dropout (0.4), noise
 * (0.3); classes, audio_len, sample_rate. */
judge_config judge_config_read(config c);
/* The front end "hiss" at another rate, hop and window. */
void judge_front(config c, mel_front *f);
judge *judge_bind(const judge_config *c, binder *b);
const judge_config *judge_sizes(const judge *j);

/* How many pooled features a clip has: D. */
int64_t judge_features(const judge_config *c);
/* mel [B, F, M], F at least that of a clip -> [B, D]. */
tensor *judge_pool(const judge_config *c, const tensor *mel);
/* The first 2 * bands of a clip's D: mean and standard deviation of each band. */
int64_t judge_statistics(const judge_config *c);

/* pooled [B, D] -> logits [B, K]; hidden: NULL, or gets the activations [B, H]. random: NULL, or standard normals for noise and
 * dropout, judge_draws of them for each clip, clips `stride` apart. */
int64_t judge_draws(const judge_config *c);
tensor *judge_forward(const judge *j, const tensor *pooled, const float *random, int64_t stride, tensor **hidden);

/* Mean and standard deviation of each feature [D], to be measured before training. */
float *judge_mean(judge *j);
float *judge_deviation(judge *j);

#endif
