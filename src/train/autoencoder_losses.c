/* See autoencoder_losses.h. */
#include "train/autoencoder_losses.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

enum { MOST_RESOLUTIONS = 16, MOST_STEPS = 1000000000 };
static const double MOST_WEIGHT = 1e6;

static config nothing(const char *name) { return config_parse("{}", 2, name); }
/* An object, empty where there is none. */
static config inside(config c, const char *key) { return config_has(c, key) ? config_get(c, key) : nothing(key); }

static float weight(config part, const char *key, double otherwise) {
    return (float) config_number(inside(part, "weights"), key, otherwise, 0, MOST_WEIGHT);
}

/* --- spectra --- */

static spectral_losses read_spectral(config own, config said, int rate) {
    static const double USUAL[] = {2048, 1024, 512, 256, 128, 64, 32};
    const config from = config_has(own, "fft_sizes") ? own : inside(said, "config");
    size_t n, hops, windows = 0;
    const double *sizes = config_numbers(from, "fft_sizes", MOST_RESOLUTIONS, &n), *widths = NULL,
                 *steps =
                     config_numbers(config_has(own, "hop_sizes") ? own : from, "hop_sizes", MOST_RESOLUTIONS, &hops);
    if (from.value != own.value) widths = config_numbers(from, "win_lengths", MOST_RESOLUTIONS, &windows);
    if (!n) sizes = USUAL, n = sizeof USUAL / sizeof *USUAL;
    if ((hops && hops != n) || (windows && windows != n))
        fail(HISS_ERROR_ARGUMENT, "%s: as many hop_sizes as fft_sizes are needed", from.where);
    stft_shape *shapes = NEW_ARRAY(stft_shape, n);
    for (size_t i = 0; i < n; i++) {
        const double most = STFT_MAX_SIZE + 1, size = fmin(fmax(sizes[i], 0), most),
                     hop = hops ? fmin(fmax(steps[i], 0), most) : floor(size / 4),
                     window = windows ? fmin(fmax(widths[i], 0), most) : size;
        shapes[i] = (stft_shape){(int) size, (int) window, (int) hop, STFT_CENTRED, false};
        stft_check(&shapes[i]);
    }
    const bool heard = config_bool(own, "weighted", config_bool(inside(said, "config"), "perceptual_weighting", true));
    return (spectral_losses){shapes, (int) n, 1e-8f, heard ? rate : 0};
}

/* --- the discriminator --- */

/* The original's default, which is what "discriminator": true means where the model's configuration names none. */
static const char USUAL_DISCRIMINATOR[] =
    "{\"type\": \"encodec\", \"config\": {\"filters\": 64, \"n_ffts\": [2048, 1024, 512, 256, 128],"
    " \"hop_lengths\": [512, 256, 128, 64, 32], \"win_lengths\": [2048, 1024, 512, 256, 128]},"
    " \"weights\": {\"adversarial\": 0.1, \"feature_matching\": 5.0}}";

static config usual_discriminator(void) {
    return config_parse(USUAL_DISCRIMINATOR, sizeof USUAL_DISCRIMINATOR - 1, "discriminator");
}

/* What is asked for: the recipe's object, or the configuration's, or the usual one; false: none. */
static bool find_discriminator(config own, config losses, config *found) {
    const bool here = config_has(own, "discriminator"), there = config_has(losses, "discriminator");
    const json_t *said = here ? config_get(own, "discriminator").value : NULL;
    if (here && json_is_false(said)) return false;
    if (here && !json_is_true(said)) *found = config_get(own, "discriminator");
    else if (there) *found = config_get(losses, "discriminator");
    else if (here) *found = usual_discriminator();
    return here || there;
}

static void read_discriminator(autoencoder_losses *l, config recipe, config own, config training, int64_t channels) {
    static const char *const keys[] = {"type", "config", "weights", "warmup_steps", "warmup_mode", "optimizer", NULL};
    config d;
    if (!find_discriminator(own, inside(training, "loss_configs"), &d)) return;
    config_only(d, keys);
    const char *type = config_string(d, "type", "encodec");
    if (strcmp(type, "encodec") != 0)
        fail(HISS_ERROR_ARGUMENT,
             "%s: a discriminator of type '%s': hiss has 'encodec'; \"discriminator\": false in the recipe's "
             "\"autoencoder\" trains without one",
             d.where, type);
    l->judged = true;
    l->discriminator = discriminator_config_read(
        config_has(d, "config") ? config_get(d, "config") : config_get(usual_discriminator(), "config"), channels);
    l->adversarial = weight(d, "adversarial", 0.1);
    l->features = weight(d, "feature_matching", 5);
    l->warmup = config_int(d, "warmup_steps", config_int(training, "warmup_steps", 0, 0, MOST_STEPS), 0, MOST_STEPS);
    const char *mode = config_string(d, "warmup_mode", config_string(training, "warmup_mode", "adv"));
    if (strcmp(mode, "adv") != 0 && strcmp(mode, "full") != 0)
        fail(HISS_ERROR_ARGUMENT, "%s: warmup_mode '%s': 'adv' or 'full'", d.where, mode);
    l->early = !strcmp(mode, "adv");
    l->optimizer = optimizer_settings_read(config_has(d, "optimizer") ? d : recipe);
    l->optimizer.average = 0;
}

/* --- all --- */

static void tell_left_out(config training, config losses) {
    static const char *const OTHERS[] = {"mrmel", "hubert"};
    for (int i = 0; i < 2; i++)
        if (config_has(losses, OTHERS[i])) warn("%s: %s: hiss has no such loss; left out", losses.where, OTHERS[i]);
    if (config_bool(training, "encoder_freeze_on_warmup", false))
        warn("%s: encoder_freeze_on_warmup: what the recipe says of the encoder holds for all steps", training.where);
}

autoencoder_losses autoencoder_losses_read(config recipe, config settings, int rate, int64_t channels) {
    static const char *const keys[] = {"encoder",    "fft_sizes",     "hop_sizes", "weighted",
                                       "divergence", "discriminator", NULL};
    const config own = inside(recipe, "autoencoder"), training = inside(settings, "training"),
                 losses = inside(training, "loss_configs"), spectral = inside(losses, "spectral"),
                 of_time = inside(losses, "time");
    config_only(own, keys);
    autoencoder_losses l = {.spectral = read_spectral(own, spectral, rate),
                            .spectral_weight = weight(spectral, "mrstft", 1),
                            .time_l1 = weight(of_time, "l1", 0),
                            .time_l2 = weight(of_time, "l2", 0)};
    const double divergence = weight(inside(losses, "bottleneck"), "kl", 1e-4);
    l.divergence = (float) config_number(own, "divergence", divergence, 0, MOST_WEIGHT);
    read_discriminator(&l, recipe, own, training, channels);
    tell_left_out(training, losses);
    return l;
}
