/* Rough spectrograms that a sound is to follow, from whatever the user has. */
#ifndef HISS_SYSTEMS_ROUGH_H
#define HISS_SYSTEMS_ROUGH_H

#include "systems/system.h"

/* [F, M] of the front end "hiss", ln of magnitudes: of a sound file; as .npy or safetensors hold it; or of a .png picture, high
 * bands at the top, black silent and white loud, stretched over `seconds`. In the current scope. */
tensor *rough_mel(const char *path, double seconds);
/* Whether that takes its length from `seconds`. */
bool rough_has_no_length(const char *path);
/* Writes such a picture of a mel spectrogram [F, M] of that front end: a pixel for each frame and band. */
void rough_draw(const char *path, const tensor *mel);

#endif
