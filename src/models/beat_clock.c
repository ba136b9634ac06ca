/* See beat_clock.h. */
#include "models/beat_clock.h"

#include <math.h>

static const double PULSES[] = {0.25, 1, 2, 4}; /* to a beat */
static const double TURNS[] = {0.25, 0.5, 1};
enum { PULSE_COUNT = 4, TURN_COUNT = 3, TEMPOS = 8 };
static const double NEAR_SECONDS = 0.015;
static const double SLOWEST = 50,
                    TEMPO_OCTAVES = 0.3; /* the first of the tempos; from one to the next, and their width */

static double bell(double x) { return exp(-0.5 * x * x); }

int64_t beat_clock_width(int64_t frames) { return PULSE_COUNT * frames + 2 * TURN_COUNT + TEMPOS; }

void beat_clock(float *to, double bpm, double begin, double frame, int64_t frames) {
    const double beats = (bpm > 0 ? bpm : 1) / 60; /* a second */
    for (int64_t f = 0; f < frames; f++)
        for (int p = 0; p < PULSE_COUNT; p++) {
            const double at = (begin + (double) f * frame) * beats * PULSES[p];
            *to++ = (float) bell((at - round(at)) / (beats * PULSES[p]) / NEAR_SECONDS);
        }
    for (int i = 0; i < TURN_COUNT; i++) {
        const double angle = 2 * M_PI * (begin + 0.5 * (double) frames * frame) * beats * TURNS[i];
        *to++ = (float) cos(angle);
        *to++ = (float) sin(angle);
    }
    for (int i = 0; i < TEMPOS; i++) *to++ = (float) bell(log2(beats * 60 / SLOWEST) / TEMPO_OCTAVES - i);
}
