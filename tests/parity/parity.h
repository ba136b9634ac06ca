/* Parity cases: what the published systems compute, made by running their original code (the format is described in
 * docs/parity.md). A case function computes the outputs from the inputs and hands each to parity_out. */
#ifndef HISS_TESTS_PARITY_H
#define HISS_TESTS_PARITY_H

#include "store/store.h"
#include "tensor/tensor.h"

typedef struct parity_case parity_case;

/* case.json whole, and its "config". */
config parity_info(const parity_case *c);
config parity_config(const parity_case *c);
/* A file of the case's folder. */
char *parity_path(const parity_case *c, const char *name);
/* The checkpoint it names: weights.safetensors, the values of weights.tsv, or a published file. */
store *parity_checkpoint(const parity_case *c);

/* in.NAME as stored, in the original's layout; as F32; whether it is there. */
tensor *parity_in(const parity_case *c, const char *name);
tensor *parity_in_f32(const parity_case *c, const char *name);
bool parity_has_in(const parity_case *c, const char *name);
/* out.NAME as stored, for inputs of a later stage (the tests of one stage alone); whether it is there. */
tensor *parity_expected(const parity_case *c, const char *name);
bool parity_has_out(const parity_case *c, const char *name);

/* Compares with out.NAME, in the original's layout and of the same number of elements: relative RMS error against the
 * case's tolerance; integers must be equal. `network`: bf16 operands may err by 2e-2. An output that no call compared
 * fails the case. */
void parity_out(parity_case *c, const char *name, const tensor *got);

/* The same of what a walk of many passes through a network ends on: with bf16 operands a cosine of 0.999 is asked for. */
void parity_walked(parity_case *c, const char *name, const tensor *got);

/* A figure of the case's own making: passes if error <= allowed. */
void parity_figure(parity_case *c, const char *name, double error, double allowed);
/* ||got - expected|| / ||expected||, in double; infinite where one is not a number. */
double relative_error(const tensor *got, const tensor *expected);

/* Channels first and last, rank 3, copied. */
tensor *swap_last_two(const tensor *t);

/* Rows of the table of what can be run; {0} ends a list. */
typedef struct {
    const char *system, *part; /* part NULL: any */
    void (*run)(parity_case *c);
} parity_row;
extern const parity_row PARITY_WAVES[], PARITY_TRAINING[], PARITY_TORCHRNG[], PARITY_DIFFUSION[], PARITY_SIGNAL[],
    PARITY_MEL[], PARITY_LEVELS[], PARITY_TEXT[], PARITY_EVAL[], PARITY_GENERATOR[], PARITY_STABLE_AUDIO[];

#endif
