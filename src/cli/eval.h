/* The parts of `hiss eval`. */
#ifndef HISS_CLI_EVAL_H
#define HISS_CLI_EVAL_H

#include <jansson.h>

#include "cli/options.h"

/* Says what a judge hears in recordings it was not trained on and in generated sounds. */
void eval_with_judge(const arguments *a, json_t *result);
/* Says how far a folder of sounds lies from a reference. */
void eval_with_reference(const arguments *a, json_t *result);
/* Says whether sounds have the tempo and the key asked for. */
void eval_music(const arguments *a, json_t *result);

/* Says whether a long sound goes on as it begins. */
void eval_steadiness(const arguments *a, json_t *result);

#endif
