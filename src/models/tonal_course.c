/* See tonal_course.h. */
#include "models/tonal_course.h"

#include <math.h>

#include "base/scope.h"

static const double LOW_HZ = 100, HIGH_HZ = 2000;
static const float QUIET = 1e-3f; /* of the loudest patch */

/* Adds what stands out of one frame's bands low .. high - 1. */
static void add_peaks(const float *row, const double *centres, int64_t low, int64_t high, float *classes) {
    for (int64_t m = low; m < high; m++) {
        if (!(row[m] > row[m - 1] && row[m] >= row[m + 1])) continue;
        const double bend = row[m - 1] - 2 * row[m] + row[m + 1],
                     aside = bend < 0 ? 0.5 * (row[m - 1] - row[m + 1]) / bend : 0,
                     hertz =
                         centres[m] + aside * (aside < 0 ? centres[m] - centres[m - 1] : centres[m + 1] - centres[m]),
                     pitch = 69 + 12 * log2(hertz / 440), off = pitch - round(pitch);
        classes[((int) round(pitch) % PITCH_CLASSES + PITCH_CLASSES) % PITCH_CLASSES] +=
            (float) exp(row[m] - 8 * off * off);
    }
}

static float greatest(const float *x, int64_t n) {
    float most = 0;
    for (int64_t i = 0; i < n; i++) most = fmaxf(most, x[i]);
    return most;
}

/* Each patch against its own greatest, where it is not too quiet. */
static void level(float *course, int64_t N) {
    const float floor = QUIET * greatest(course, N * PITCH_CLASSES);
    for (int64_t i = 0; i < N; i++, course += PITCH_CLASSES) {
        const float most = greatest(course, PITCH_CLASSES), scale = most > floor ? 1 / most : 0;
        for (int k = 0; k < PITCH_CLASSES; k++) course[k] *= course[k] * scale * scale;
    }
}

tensor *tonal_course(const tensor *mel, int64_t patch, const double *centres) {
    const int64_t B = mel->shape[0], F = mel->shape[1], N = F / patch, M = mel->shape[2];
    int64_t low = 1, high = M - 1;
    while (low < high && centres[low] < LOW_HZ) low++;
    while (high > low && centres[high - 1] > HIGH_HZ) high--;
    tensor *course = tensor_zero(F32, SHAPE(B, N, PITCH_CLASSES));
#pragma omp parallel for
    for (int64_t b = 0; b < B; b++) {
        float *to = f32(course) + b * N * PITCH_CLASSES;
        for (int64_t f = 0; f < N * patch; f++)
            add_peaks(f32(mel) + (b * F + f) * M, centres, low, high, to + f / patch * PITCH_CLASSES);
        level(to, N);
    }
    return course;
}
