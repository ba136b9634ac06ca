/* hiss eval --reference: how far generated sounds lie from real ones, as sets and, where files have the same names, one by one. */
#include <math.h>
#include <string.h>

#include "cli/eval.h"
#include "cli/output.h"
#include "eval/class_measures.h"
#include "eval/features.h"
#include "eval/frechet.h"
#include "eval/signal_distance.h"

enum { SUBSETS = 100, SUBSET = 1000, LINE_POINTS = 15 };
static const random_key KEY = {0, 0x6576616C};

static void tell(const arguments *a, json_t *result, const char *key, const char *words, double value) {
    say(a, "  %-44s %.5g", words, value);
    json_object_set_new(result, key, isfinite(value) ? json_real(value) : json_null());
}

/* --- sets --- */

static void tell_sets(const arguments *a, const feature_set *real, const feature_set *made, json_t *result) {
    const int64_t N = made->rows->shape[0], M = real->rows->shape[0], D = made->rows->shape[1];
    const statistics *r = statistics_of(real->rows, real->name), *m = statistics_of(made->rows, made->name);
    tell(a, result, "frechet", "Frechet distance", frechet_distance(r, m));
    if (N < D || M < D)
        warn("%lld and %lld vectors of %lld features: Frechet distances of so few come out too large", (long long) M,
             (long long) N, (long long) D);
    if (N >= 4 * D) { /* draws of a quarter and more */
        extrapolation e = frechet_infinity(r, made->rows, N / 4, LINE_POINTS, KEY);
        tell(a, result, "frechet_infinity", "Frechet distance for ever more sounds", e.distance);
        tell(a, result, "frechet_infinity_r2", "  R squared of the line", e.r_squared);
    }
    int64_t size = N < M ? N : M;
    size = size < SUBSET ? size : SUBSET;
    tell(a, result, "kad", "kernel audio distance (x 100)",
         kernel_audio_distance(real->rows, made->rows, KERNEL_GAUSSIAN, 0));
    tell(a, result, "kid", "kernel distance, cubic",
         kernel_distance(made->rows, real->rows, size, size < N || size < M ? SUBSETS : 1, KEY).mean);
}

/* --- pairs --- */

typedef struct {
    int64_t count, *real, *made; /* indices of equal names */
} pairs;

static pairs pairs_of(const feature_set *real, const feature_set *made) {
    pairs p = {0, NEW_ARRAY(int64_t, made->sounds), NEW_ARRAY(int64_t, made->sounds)};
    int64_t r = 0;
    for (int64_t m = 0; m < made->sounds; m++) { /* both are sorted by name */
        while (r < real->sounds && strcmp(real->files[r], made->files[m]) < 0) r++;
        if (r == real->sounds || strcmp(real->files[r], made->files[m]) != 0) continue;
        p.real[p.count] = r;
        p.made[p.count++] = m;
    }
    return p;
}

static tensor *rows_at(const tensor *x, const int64_t *which, int64_t n) { return pick_rows(x, which, n); }

static void tell_scores(const arguments *a, const feature_set *real, const feature_set *made, const pairs *p,
                        json_t *result) {
    if (!made->scores) return;
    spread s = inception_score(made->scores, NULL, made->sounds < 10 ? 1 : 10);
    tell(a, result, "inception_score", "Inception score", s.mean);
    if (!p->count) return;
    tell(a, result, "kl_softmax", "KL of classes, files of the same name (softmax)",
         class_divergence(rows_at(real->scores, p->real, p->count), rows_at(made->scores, p->made, p->count),
                          CLASSES_SOFTMAX));
    tell(a, result, "kl_sigmoid", "KL of classes, files of the same name (sigmoid)",
         class_divergence(rows_at(real->scores, p->real, p->count), rows_at(made->scores, p->made, p->count),
                          CLASSES_SIGMOID));
}

/* The path of a name in a list. */
static const char *path_of(const recordings *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->items[i].name, name)) return list->items[i].path;
    return NULL;
}

enum { STFT_DISTANCE, LOG_SPECTRAL, CEPSTRAL, SDR, MEASURES };
static const char *const MEASURE_KEYS[MEASURES] = {"multi_resolution_stft", "log_spectral_distance",
                                                   "mel_cepstral_distortion_db", "si_sdr_db"},
                         *const MEASURE_WORDS[MEASURES] = {"multi-resolution STFT distance", "log-spectral distance",
                                                           "mel-cepstral distortion, dB", "scale-invariant SDR, dB"};

/* Mono, at the real one's rate, as long as the shorter one. */
static bool compare(const char *real_path, const char *made_path, double sums[MEASURES]) {
    enum { LEAST = 4096 };
    scope_begin();
    const audio *real = audio_mix_down(audio_read(real_path));
    const audio *made = audio_resample(audio_mix_down(audio_read(made_path)), real->rate);
    const int64_t n = real->frames < made->frames ? real->frames : made->frames;
    if (n >= LEAST) {
        const sound_pair p = {real->samples, made->samples, 1, n, real->rate};
        const spectral_distance d = multi_resolution(&p, &SPECTRAL_AURALOSS);
        sums[STFT_DISTANCE] += d.mean_convergence + d.mean_log;
        sums[LOG_SPECTRAL] += log_spectral_distance(&p, 0);
        sums[CEPSTRAL] += mel_cepstral_distance(&p, 0, MCD_DB);
        sums[SDR] += si_sdr(&p, 0, true, 1e-8);
    }
    scope_end();
    return n >= LEAST;
}

static void tell_pairs(const arguments *a, const recordings *real, const recordings *made, const feature_set *s,
                       const pairs *p, json_t *result) {
    double sums[MEASURES] = {0};
    int64_t n = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const char *name = s->files[p->made[i]];
        n += compare(path_of(real, name), path_of(made, name), sums);
    }
    json_object_set_new(result, "pairs", json_integer(n));
    if (!n) return;
    say(a, "%lld files of the same name, means:", (long long) n);
    for (int i = 0; i < MEASURES; i++) tell(a, result, MEASURE_KEYS[i], MEASURE_WORDS[i], sums[i] / (double) n);
}

void eval_with_reference(const arguments *a, json_t *result) {
    const char *real_path = text(a, OPT_REAL), *made_path = a->name_count ? a->names[0] : NULL;
    if (!made_path) fail(HISS_ERROR_ARGUMENT, "hiss eval --reference %s: give a folder of generated sounds", real_path);
    const feature_source *f = features_open(text(a, OPT_FEATURES));
    recordings *real_list = recordings_find(real_path, 0);
    const recordings *made_list = recordings_find(made_path, 0);
    recordings_keep_held_out(real_list);
    const feature_set *real = features_of_list(f, real_list, real_path),
                      *made = features_of_list(f, made_list, made_path);
    say(a, "%lld sounds of %s and %lld of %s, %s:", (long long) real->sounds, real_path, (long long) made->sounds,
        made_path, features_name(f));
    json_t *o = json_object();
    json_object_set_new(result, "reference", o);
    json_object_set_new(o, "features", json_string(features_name(f)));
    json_object_set_new(o, "reference_sounds", json_integer(real->sounds));
    json_object_set_new(o, "generated_sounds", json_integer(made->sounds));
    tell_sets(a, real, made, o);
    const pairs p = pairs_of(real, made);
    tell_scores(a, real, made, &p, o);
    tell_pairs(a, real_list, made_list, made, &p, o);
}
