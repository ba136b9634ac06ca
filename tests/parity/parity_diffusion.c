/* Parity of schedules and samplers, on the exact denoiser of a mixture of three Gaussians in four dimensions in place of a
 * network. */
#include "parity.h"

const parity_row PARITY_DIFFUSION[] = {{0}};
