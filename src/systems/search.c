/* See search.h. */
#include "systems/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "base/random.h"
#include "systems/sample.h"

/* Draws to a try: many fall outside what a model takes. */
enum { MOST_DRAWS = 1000 };

/* How far apart two sounds are: the front end that lmnt's script listens with. */
static mel_front listener(int rate) {
    mel_front f = mel_front_named("wavegrad");
    f.rate = rate;
    f.stft.hop = 150;
    f.log = MEL_LN;
    return f;
}

static double distance(const tensor *a, const tensor *b) {
    double sum = 0;
    int64_t n = count(a) < count(b) ? count(a) : count(b);
    for (int64_t i = 0; i < n; i++) sum += pow((double) f32(a)[i] - f32(b)[i], 2);
    return sum / (double) n;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

/* Orders of magnitude from 1e-6 (or the first of a table) to 1e-1, mantissas of 0 to 10 in rising order; false where the model
 * cannot take them. */
static bool draw_betas(const model *m, double *betas, int64_t steps, random_key key) {
    double low = m->system->noise_is_level ? -6 : log10(m->betas[0]);
    for (int64_t i = 0; i < steps; i++) betas[i] = 10 * random_uniform(key, (uint64_t) i);
    qsort(betas, (size_t) steps, sizeof *betas, by_size);
    for (int64_t i = 0; i < steps; i++) {
        betas[i] *= pow(10, steps > 1 ? low - (low + 1) * (double) i / (double) (steps - 1) : -1);
        if (!(betas[i] > 0 && betas[i] < 1)) return false;
    }
    return betas_within(m, betas, (size_t) steps);
}

typedef struct {
    const model *m;
    const tensor *mel, *heard; /* what the model is given, what is listened for */
    mel_front ear;
} trial;

static double error_of(const trial *t, const double *betas, int64_t steps) {
    scope_begin();
    sound_request r = sound_request_default();
    r.betas = betas;
    r.beta_count = (size_t) steps;
    progress_handler handler;
    void *context;
    progress_to(NULL, NULL, &handler, &context); /* its passes are not what the user waits for */
    const audio *sung = vocode_mel(t->m, &r, t->mel);
    progress_to(handler, context, NULL, NULL);
    double error = distance(t->heard, mel_compute(&t->ear, sung->samples, sung->frames));
    scope_end();
    return isfinite(error) ? error : INFINITY;
}

found_schedule search_schedule(const model *m, const audio *recording, int64_t steps, int64_t tries, uint64_t seed) {
    require(steps >= 1 && steps <= SEARCH_MOST_STEPS);
    found_schedule best = {NEW_ARRAY(double, steps), steps, INFINITY, 0};
    scope_begin();
    mel_front front = model_front(m);
    if (!m->beta_count) fail(HISS_ERROR_ARGUMENT, "%s sings without steps of noise: it needs no schedule", m->path);
    trial t = {m, mel_of(&front, recording), NULL, listener(m->rate)};
    const audio *mono = audio_resample(audio_channel(recording, 0), m->rate);
    t.heard = mel_compute(&t.ear, mono->samples, mono->frames);
    best.own_error = error_of(&t, m->fast, (int64_t) m->fast_count);
    random_key key = random_child((random_key){seed, 0}, 1);
    double *betas = NEW_ARRAY(double, steps);
    for (int64_t done = 0, drawn = 0; done < tries && drawn < MOST_DRAWS * tries;) {
        if (!draw_betas(m, betas, steps, random_child(key, (uint64_t) drawn++))) continue;
        double error = error_of(&t, betas, steps);
        progress("trying schedules", ++done, tries);
        if (!(error < best.error)) continue;
        best.error = error;
        memcpy(best.betas, betas, (size_t) steps * sizeof *betas);
    }
    scope_end();
    if (!isfinite(best.error))
        fail(HISS_ERROR_ARGUMENT, "%s: no schedule gave a sound: try more of them or check the model", m->path);
    return best;
}
