/* Whole models of stable-audio-tools. */
#ifndef HISS_TESTS_PARITY_STABLE_MODEL_H
#define HISS_TESTS_PARITY_STABLE_MODEL_H

#include "parity.h"

void run_whole_model(parity_case *c);
void run_inpainting_model(parity_case *c);
void run_prepare_audio(parity_case *c);
void run_stable_training(parity_case *c);
void run_discriminator(parity_case *c);

#endif
