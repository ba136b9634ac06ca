/* Long sounds of systems whose state is not sound, piece by piece. A window of one level needs the windows of the level before that
 * overlap it and nothing else, so the walk of the first windows can be finished before the noise of the last is drawn: each level keeps
 * a few windows of rows, and asks the level before for more when it has used them up. The sound is that of the whole walk (latent.h);
 * memory does not grow with its length. */
#ifndef HISS_SYSTEMS_LATENT_PIECES_H
#define HISS_SYSTEMS_LATENT_PIECES_H

#include "systems/latent.h"

/* Whether this request's sounds come in pieces: longer than LONG_SECONDS, from noise alone, by a sampler that looks at one level. */
#define LONG_SECONDS 60.0
bool latent_has_pieces(const model *m, const sound_request *r);
/* Sound i, request_samples in all. Peaks that exceed the level of training are turned down by a limiter, since nobody knows yet
 * how loud it becomes. */
void latent_pieces(const model *m, const sound_request *r, const void *asked, int64_t i, take_samples *take,
                   void *context);

#endif
