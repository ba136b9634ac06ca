/* What cases of mel spectrograms share. */
#ifndef HISS_TESTS_PARITY_MEL_H
#define HISS_TESTS_PARITY_MEL_H

#include "parity.h"
#include "signal/mel.h"

/* A front end by its name in hiss, with the settings that HiFi-GAN and BigVGAN have in their config.json. */
mel_front gan_front(const char *name, config settings);
/* [F, M] to the [1, M, F] of most originals. */
tensor *bands_first(const tensor *mel);

#endif
