/* Whether a long sound goes on as it begins: level and spectrum of its parts, and whether it comes round. */
#ifndef HISS_EVAL_STEADINESS_H
#define HISS_EVAL_STEADINESS_H

#include "signal/audio.h"

/* Of parts of 10 s. Levels are of the mean square, spectra the mean power of each mel band over a part, in dB. */
typedef struct {
    int64_t parts;
    double level_db;          /* of all, dB of full scale */
    double level_low_db,      /* of the quietest and the loudest part */
        level_high_db;        /*   against it */
    double level_drift_db;    /* of the line through the parts' levels, from the first to the last */
    double spectrum_far_db;   /* of the part furthest from the mean spectrum, root mean square over bands */
    double spectrum_drift_db; /* between the first and the last quarter, the same */
    double
        likeness; /* the highest correlation of the sound's course with itself, later by lag_seconds (3 s and more) */
    double lag_seconds;
} steadiness;

/* Fails on sounds of less than 30 s. */
steadiness steadiness_of(const audio *sound);

#endif
