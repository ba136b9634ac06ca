/* A recording made ready for training: decoded, resampled, mono, trimmed, of the level that the recipe says. Kept as 16 bits of its own
 * peak, cached or not, so that both give the same batches. M mels. */
#ifndef HISS_TRAIN_PREPARED_H
#define HISS_TRAIN_PREPARED_H

#include "train/dataset.h"

typedef struct {
    int64_t samples;
    tensor *pcm; /* [samples] I16; NULL where features alone are kept */
    float unit;  /* value of 1 */
    tensor *mel; /* [frames, M] F32, or I16 as features, or NULL */
} prepared;

/* Its sound goes to `home`. False where the file is of no use, which is said; lack of memory and interruption are passed on. */
bool prepare_recording(const char *path, const dataset_settings *s, scope *home, prepared *to);

static inline float prepared_sample(const prepared *p, int64_t i) {
    return (float) ((const int16_t *) p->pcm->data)[i] * p->unit;
}
int64_t prepared_bytes(const prepared *p);

#endif
