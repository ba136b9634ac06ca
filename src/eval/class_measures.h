/* Measures on what a classifier says of sounds, in double.
 * N sounds, K classes; logits [N, K] are given as rows of any float type. */
#ifndef HISS_EVAL_CLASS_MEASURES_H
#define HISS_EVAL_CLASS_MEASURES_H

#include "eval/kernel.h"

typedef enum { CLASSES_SOFTMAX, CLASSES_SIGMOID } class_output;

/* Probabilities of logits, [N, K] F64. */
tensor *probabilities(const tensor *logits, class_output kind);

/* sum of p (ln p - ln(q + eps)) for each row, [N] doubles in the current scope. */
double *divergences(const tensor *p, const tensor *q, double eps);
/* audioldm_eval's and audiocraft's way: KL(target || generated), 1e-6 on the generated side; the mean over pairs of rows. With the
 * arguments swapped it is stable-audio-metrics'. */
double class_divergence(const tensor *target, const tensor *generated, class_output kind);

/* Inception score (Salimans et al. 2016): rows in the order of `order` (NULL: as they are), cut into `parts`; exp of the mean
 * KL(p || mean p) of each; mean and deviation over the parts. */
spread inception_score(const tensor *logits, const int64_t *order, int64_t parts);

/* How many rows have their label among the `top` greatest logits. Rows with labels below 0 are left out; *asked, if not NULL,
 * says how many were not. */
int64_t right_in_top(const tensor *logits, const int32_t *labels, int top, int64_t *asked);

/* Mean over rows of the cosine between a and b, [N, D]; each norm counts as at least 1e-8. cosines [N] may be NULL. */
double mean_cosine(const tensor *a, const tensor *b, double *cosines);

#endif
