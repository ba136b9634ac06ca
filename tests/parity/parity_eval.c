/* Cases of src/eval: distances between sets and between sounds, class measures. */
#include <math.h>
#include <string.h>

#include "eval/class_measures.h"
#include "eval/frechet.h"
#include "eval/kernel.h"
#include "eval/signal_distance.h"
#include "models/cnn14.h"
#include "models/vggish.h"
#include "parity.h"
#include "signal/sinc.h"

static const random_key NO_KEY = {0, 0};

static void out_values(parity_case *c, const char *name, const double *values, int64_t n) {
    parity_out(c, name, tensor_wrap(F64, SHAPE(n), (void *) values));
}
static void out_value(parity_case *c, const char *name, double value) { out_values(c, name, &value, 1); }

/* --- Frechet distance --- */

static void run_frechet(parity_case *c) {
    static const char *const SETS[] = {"full", "deficient", "positive", "two"}, *const SAME[] = {"same",
                                                                                                 "same_deficient"};
    for (int i = 0; i < 4; i++) {
        const statistics *a = statistics_of(parity_in(c, format("%s_a", SETS[i])), SETS[i]),
                         *b = statistics_of(parity_in(c, format("%s_b", SETS[i])), SETS[i]);
        out_value(c, format("%s_distance", SETS[i]), frechet_distance(a, b));
        if (i) continue;
        out_values(c, "full_mean_a", a->mean, a->size);
        out_values(c, "full_cov_a", a->covariance, a->size * a->size);
    }
    for (int i = 0; i < 2; i++) {
        const statistics *a = statistics_of(parity_in(c, format("%s_a", SAME[i])), SAME[i]);
        out_value(c, format("%s_distance", SAME[i]), frechet_distance(a, a));
    }
    tensor *dead[2] = {parity_in_f32(c, "full_a"), parity_in_f32(c, "full_b")};
    for (int i = 0; i < 2; i++)
        for (int64_t r = 0; r < dead[i]->shape[0]; r++)
            f32(dead[i])[r * dead[i]->shape[1] + 3] = f32(dead[i])[r * dead[i]->shape[1] + 4] = 0;
    out_value(c, "dead_distance", frechet_distance(statistics_of(dead[0], "dead"), statistics_of(dead[1], "dead")));
}

static void check_infinity(parity_case *c, const statistics *base) {
    const tensor *rows = parity_in(c, "inf_set");
    const int64_t points = config_need_int(parity_info(c), "steps", 2, 100), N = rows->shape[0],
                  least = config_need_int(parity_info(c), "min_n", 2, N);
    double *sizes = NEW_ARRAY(double, points), *distances = NEW_ARRAY(double, points);
    for (int64_t i = 0; i < points; i++) {
        const tensor *drawn = tensor_convert(parity_in(c, format("pick_%d", (int) i)), I64);
        sizes[i] = (double) count(drawn);
        distances[i] = frechet_distance(base, statistics_of(pick_rows(rows, drawn->data, count(drawn)), "drawn"));
    }
    extrapolation e = frechet_line(sizes, distances, points);
    out_values(c, "inf_points", distances, points);
    out_values(c, "inf", (double[]){e.distance, e.slope, e.r_squared}, 3);
    extrapolation own = frechet_infinity(base, rows, least, points, NO_KEY);
    parity_figure(c, "inf, draws of our own", fabs(own.distance - e.distance) / e.distance, 0.5);
}

static void run_sets(parity_case *c) {
    enum { FILES = 5 };
    const statistics *base = statistics_of(parity_in(c, "base"), "base");
    const int64_t D = base->size;
    double songs[FILES];
    tensor *all = tensor_new(F64, SHAPE(1000, D));
    int64_t n = 0;
    for (int i = 0; i < FILES; i++) {
        const tensor *rows = tensor_convert(parity_in(c, format("file_%d", i)), F64);
        songs[i] = frechet_distance(base, statistics_of(rows, "file"));
        require(n + rows->shape[0] <= 1000);
        memcpy((double *) all->data + n * D, rows->data, tensor_bytes(rows));
        n += rows->shape[0];
    }
    all->shape[0] = n;
    const statistics *folder = statistics_of(all, "folder");
    out_values(c, "mean", folder->mean, D);
    out_values(c, "cov", folder->covariance, D * D);
    out_value(c, "distance", frechet_distance(base, folder));
    out_values(c, "songs", songs, FILES);
    out_values(c, "songs_exact", songs, FILES);
    check_infinity(c, base);
}

/* --- kernels --- */

static void run_kad(parity_case *c) {
    static const char *const NAMES[] = {"gaussian", "iq", "imq"};
    const tensor *x = parity_in(c, "x"), *y = parity_in(c, "y");
    for (int k = 0; k < 3; k++) {
        out_value(c, format("%s_median", NAMES[k]), kernel_audio_distance(x, y, (kernel_kind) k, 0));
        out_value(c, format("%s_given", NAMES[k]), kernel_audio_distance(x, y, (kernel_kind) k, 2.5));
    }
    out_value(c, "self", kernel_audio_distance(x, x, KERNEL_GAUSSIAN, 2));
    out_value(c, "median", median_distance(y));
}

static void check_kid(parity_case *c) {
    const tensor *a = parity_in(c, "kid_a"), *b = parity_in(c, "kid_b"),
                 *pick_a = tensor_convert(parity_in(c, "kid_pick_a"), I64),
                 *pick_b = tensor_convert(parity_in(c, "kid_pick_b"), I64);
    const int64_t subsets = pick_a->shape[0], size = pick_a->shape[1];
    double *values = NEW_ARRAY(double, subsets);
    for (int64_t i = 0; i < subsets; i++)
        values[i] = cubic_distance(pick_rows(a, (int64_t *) pick_a->data + i * size, size),
                                   pick_rows(b, (int64_t *) pick_b->data + i * size, size));
    spread s = spread_of(values, subsets), own = kernel_distance(a, b, size, 100, NO_KEY);
    out_values(c, "kid", (double[]){s.mean, s.deviation}, 2);
    parity_figure(c, "kid, draws of our own", fabs(own.mean - s.mean), 3 * s.deviation);
}

static void run_classes(parity_case *c) {
    const tensor *g = parity_in(c, "generated"), *t = parity_in(c, "target"),
                 *order = tensor_convert(parity_in(c, "permutation"), I64);
    const tensor *p = probabilities(t, CLASSES_SOFTMAX), *q = probabilities(g, CLASSES_SOFTMAX);
    const int64_t N = g->shape[0];
    double there = class_divergence(t, g, CLASSES_SOFTMAX), back = class_divergence(g, t, CLASSES_SOFTMAX);
    out_value(c, "kl_softmax", there);
    out_value(c, "kl_sigmoid", class_divergence(t, g, CLASSES_SIGMOID));
    out_values(c, "audiocraft_kl", divergences(p, q, 1e-6), N);
    out_values(c, "audiocraft_kld", (double[]){there, back, there + back}, 3);
    out_value(c, "stable_audio_kl", back);
    spread s = inception_score(g, order->data, config_need_int(parity_info(c), "splits", 1, N));
    out_values(c, "inception", (double[]){s.mean, s.deviation}, 2);
    check_kid(c);
}

static void run_clap_score(parity_case *c) {
    const tensor *a = parity_in(c, "audio"), *b = parity_in(c, "text");
    double *cosines = NEW_ARRAY(double, a->shape[0]), mean = mean_cosine(a, b, cosines);
    out_values(c, "cosines", cosines, a->shape[0]);
    out_value(c, "score", mean);
}

/* --- two sounds --- */

static const float *unit_samples(parity_case *c, const char *name) {
    tensor *x = parity_in_f32(c, name);
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] /= 32768;
    return f32(x);
}

static void check_sdr(parity_case *c, const sound_pair *p) {
    enum { SEGMENT = 882000 };
    double sdr[4], means[2], segments[2];
    for (int i = 0; i < 4; i++) sdr[i] = si_sdr(p, i % 2, i >= 2, 0x1p-52);
    out_values(c, "sisdr", sdr, 4);
    out_value(c, "auraloss_sisdr", (si_sdr(p, 0, true, 1e-8) + si_sdr(p, 1, true, 1e-8)) / 2);
    float *x = NEW_ARRAY(float, 2 * SEGMENT), *y = NEW_ARRAY(float, 2 * SEGMENT);
    for (int i = 0; i < 2; i++) {
        memcpy(x + i * SEGMENT, p->target + i * p->n, (size_t) p->n * sizeof *x);
        memcpy(y + i * SEGMENT, p->estimate + i * p->n, (size_t) p->n * sizeof *y);
    }
    const sound_pair segment = {x, y, 2, SEGMENT, p->rate};
    for (int i = 0; i < 2; i++) {
        means[i] = si_sdr(p, i, true, 0x1p-23 * (double) p->n);
        segments[i] = si_sdr(&segment, i, true, 0x1p-23 * SEGMENT);
    }
    out_values(c, "audiocraft_sisnr", (double[]){(means[0] + means[1]) / 2, (segments[0] + segments[1]) / 2}, 2);
}

static void run_signal_distances(parity_case *c) {
    const int64_t n = parity_in(c, "x")->shape[1];
    const sound_pair p = {unit_samples(c, "x"), unit_samples(c, "y"), 2, n, 44100};
    spectral_distance d = multi_resolution(&p, &SPECTRAL_AURALOSS);
    double all[7] = {d.mean_convergence + d.mean_log};
    for (int i = 0; i < 3; i++) {
        all[1 + i] = d.convergence[i];
        all[4 + i] = d.log_magnitude[i];
    }
    out_values(c, "mrstft", all, 7);
    d = multi_resolution(&p, &SPECTRAL_AUDIOCRAFT);
    out_value(c, "audiocraft_mrstft", 0.1 * (d.mean_convergence + d.mean_log));
    const tensor *filter = a_weighting(p.rate);
    parity_out(c, "a_weighting", filter);
    out_value(c, "sum_difference", sum_and_difference(&p, &SPECTRAL_STABLE_AUDIO, f32(filter), (int) count(filter)));
    out_value(c, "audiocraft_msspec", multi_scale_mel(&p));
    check_sdr(c, &p);
    out_value(c, "lsd", log_spectral_distance(&p, 0));
    out_value(c, "mcd", mel_cepstral_distance(&p, 0, MCD_DB));
    out_value(c, "mcd_package", mel_cepstral_distance(&p, 0, MCD_PACKAGE));
}

/* --- listening networks --- */

/* As fadtk hears a file: mean of the channels, resampled, in 16 bits, at least a second, features in float16. */
static void check_fadtk(parity_case *c, const vggish *net) {
    const tensor *in = parity_in_f32(c, "c"); /* [2, samples] */
    const int64_t n = in->shape[1];
    audio *mono = audio_new(n, 1, 44100);
    for (int64_t i = 0; i < n; i++) mono->samples[i] = (f32(in)[i] + f32(in)[n + i]) / 2 / 32768;
    const audio *low = sinc_resample(mono, VGGISH_RATE, &SINC_FADTK);
    const int64_t length = low->frames > VGGISH_RATE ? low->frames : VGGISH_RATE;
    tensor *steps = tensor_zero(F32, SHAPE(low->frames)), *heard = tensor_zero(F32, SHAPE(length));
    for (int64_t i = 0; i < low->frames; i++) {
        f32(steps)[i] = rintf(low->samples[i] * 32767);
        f32(heard)[i] = f32(steps)[i] / 32768;
    }
    parity_out(c, "fadtk_samples", steps);
    parity_out(c, "fadtk", tensor_convert(vggish_forward(net, vggish_patches(f32(heard), length)), F16));
}

static void run_vggish(parity_case *c) {
    const store *s = parity_checkpoint(c);
    binder *b = binder_load(s);
    const vggish *net = vggish_bind(s, b);
    binder_finish(b, true);
    const float *a = unit_samples(c, "a");
    const tensor *patches = vggish_patches(a, count(parity_in(c, "a"))), *features = vggish_forward(net, patches);
    tensor *active = tensor_to_f32(features);
    for (int64_t i = 0; i < count(active); i++) f32(active)[i] = fmaxf(f32(active)[i], 0);
    const tensor *pca = vggish_pca(net, features);
    parity_out(c, "patches", patches);
    parity_out(c, "embedding", features);
    parity_out(c, "embedding_relu", active);
    parity_out(c, "pca", pca);
    parity_out(c, "quantized", vggish_quantise(pca));
    check_fadtk(c, net);
}

static void run_cnn14(parity_case *c) {
    const store *s = parity_checkpoint(c);
    binder *b = binder_load(s);
    const cnn14 *net = cnn14_bind(b);
    binder_finish(b, true);
    const cnn14_front *front =
        config_int(parity_config(c), "sample_rate", 32000, 1, 96000) == 16000 ? &CNN14_16K : &CNN14_32K;
    const tensor *mel = cnn14_mel(front, unit_samples(c, "a"), count(parity_in(c, "a")));
    const int64_t shown = parity_expected(c, "logmel")->shape[0];
    tensor *logits, *features = cnn14_forward(net, mel, &logits);
    parity_out(c, "logmel", tensor_wrap(F32, SHAPE(shown, CNN14_BANDS), mel->data));
    parity_out(c, "embedding", features);
    parity_out(c, "logits", logits);
    parity_out(c, "probabilities", probabilities(logits, CLASSES_SIGMOID));
}

const parity_row PARITY_EVAL[] = {{"evaluation", "Frechet distance", run_frechet},
                                  {"evaluation", "FAD of folders, per song, and extrapolated", run_sets},
                                  {"evaluation", "Kernel Audio Distance", run_kad},
                                  {"evaluation", "KL, Inception score, KID", run_classes},
                                  {"evaluation", "CLAP score", run_clap_score},
                                  {"evaluation", "distances between two sounds", run_signal_distances},
                                  {"evaluation", "VGGish", run_vggish},
                                  {"evaluation", "Cnn14 (PANNs)", run_cnn14},
                                  {0}};
