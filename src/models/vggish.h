/* VGGish (Hershey et al. 2017), as torchvggish's files have it: the features of the Frechet audio distance.
 * P patches of 96 frames of 64 log-mel bands; 128 features each. */
#ifndef HISS_MODELS_VGGISH_H
#define HISS_MODELS_VGGISH_H

#include "nn/bind.h"
#include "signal/mel.h"

enum { VGGISH_RATE = 16000, VGGISH_FRAMES = 96, VGGISH_BANDS = 64, VGGISH_FEATURES = 128 };

typedef struct vggish vggish;
/* Whether these are its tensors. */
bool vggish_known(const store *s);
/* With the PCA (pca_eigen_vectors, pca_means) where the file holds it. */
vggish *vggish_bind(const store *s, binder *b);
/* n samples at 16 kHz -> log-mels [frames, 64], or NULL where there is no whole frame; their bank. */
tensor *vggish_mel(const float *samples, int64_t n);
mel_bank *vggish_bank(void);
/* The same -> [P, 96, 64] without overlap; an incomplete patch is left out. P may be 0: NULL. */
tensor *vggish_patches(const float *samples, int64_t n);
/* -> [P, 128], before the last ReLU, as Frechet distances take it. */
tensor *vggish_forward(const vggish *net, const tensor *patches);
/* After a ReLU, its principal components; and those clipped to +-2 in 8 bits, as the data sets have them. */
bool vggish_has_pca(const vggish *net);
tensor *vggish_pca(const vggish *net, const tensor *features);
tensor *vggish_quantise(const tensor *components);

#endif
