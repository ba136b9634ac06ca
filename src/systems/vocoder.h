/* hiss's own vocoder at work: the network in windows of frames, its results made sound (signal/resynthesis.h). */
#ifndef HISS_SYSTEMS_VOCODER_H
#define HISS_SYSTEMS_VOCODER_H

#include "models/vocoder.h"
#include "signal/resynthesis.h"
#include "systems/system.h"

/* A stream of mel frames in, samples out. However the frames come, the sound is the same; memory does not grow. */
typedef struct vocoder_stream vocoder_stream;
/* settings.front is set to the network's. In the current scope. */
vocoder_stream *vocoder_stream_new(const vocoder *net, resynthesis_settings settings, take_samples *take,
                                   void *context);
/* The same of a model that is this system's, as its folder says. */
vocoder_stream *vocoder_stream_of(const model *m, uint64_t seed, take_samples *take, void *context);
/* mel [n, M]. */
void vocoder_stream_push(vocoder_stream *s, const float *mel, int64_t n);
/* The rest: as many samples as frames times hop in all. */
void vocoder_stream_finish(vocoder_stream *s);

/* Keys: noise_from, noise_to, regains. */
resynthesis_settings vocoder_settings_read(config c);

#endif
