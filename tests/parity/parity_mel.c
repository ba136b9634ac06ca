/* Cases of mel spectrograms: filter banks, front ends, the mel of hiss's own models (BigVGAN's). A front end that hiss does not have
 * is put together from its parts here. */
#include <math.h>
#include <string.h>

#include "models/cnn14.h"
#include "models/vggish.h"
#include "parity_mel.h"
#include "signal/bands.h"

mel_front gan_front(const char *name, config settings) {
    mel_front f = mel_front_named(name);
    f.rate = (int) config_int(settings, "sampling_rate", f.rate, 1000, 768000);
    f.stft.n_fft = (int) config_int(settings, "n_fft", f.stft.n_fft, 2, STFT_MAX_SIZE);
    f.stft.window = (int) config_int(settings, "win_size", f.stft.n_fft, 1, STFT_MAX_SIZE);
    f.stft.hop = (int) config_int(settings, "hop_size", f.stft.hop, 1, STFT_MAX_SIZE);
    f.bands = (int) config_int(settings, "num_mels", f.bands, 1, 4096);
    f.low_hz = config_number(settings, "fmin", 0, 0, 1e6);
    f.high_hz = config_number(settings, "fmax", 0, 0, 1e6);
    return f;
}

tensor *bands_first(const tensor *mel) {
    return swap_last_two(tensor_wrap(F32, SHAPE(1, mel->shape[0], mel->shape[1]), mel->data));
}

static void run_bigvgan_mel(parity_case *c) {
    const mel_front f = gan_front("hiss", parity_config(c));
    const tensor *sound = parity_in_f32(c, "audio"); /* [1, T] */
    parity_out(c, "mel", bands_first(mel_compute(&f, f32(sound), count(sound))));
}

/* --- banks --- */

typedef struct {
    const char *name;
    mel_scale scale;
    bool area;
    int rate, n_fft, bands;
    double low, high; /* hz */
} bank_row;

static mel_bank *bank_of(const bank_row *r) {
    return mel_bank_new(r->scale, r->area, r->rate, r->n_fft, r->bands, r->low, r->high);
}

/* What is not zero, as the case has it: each band's first bin, how many, their weights. */
static void out_bank(parity_case *c, const char *name, const mel_bank *b) {
    const int64_t M = b->bands;
    tensor *first = tensor_zero(I32, SHAPE(M)), *number = tensor_zero(I32, SHAPE(M));
    float *values = NEW_ARRAY(float, M * b->bins);
    int64_t all = 0;
    for (int64_t m = 0; m < M; m++)
        for (int k = 0; k < b->count[m]; k++) {
            const float value = b->values[b->offset[m] + k];
            if (value == 0) continue;
            if (!((int32_t *) number->data)[m]++) ((int32_t *) first->data)[m] = b->first[m] + k;
            values[all++] = value;
        }
    parity_out(c, format("%s_start", name), first);
    parity_out(c, format("%s_count", name), number);
    parity_out(c, format("%s_values", name), tensor_wrap(F32, SHAPE(all), values));
}

static void run_banks(parity_case *c) {
    static const bank_row ROWS[] = {{"hifigan_22k", MEL_SLANEY, true, 22050, 1024, 80, 0, 8000},
                                    {"audioldm_16k", MEL_SLANEY, true, 16000, 1024, 64, 0, 8000},
                                    {"librosa_htk", MEL_HTK, false, 16000, 400, 40, 50, 7600},
                                    {"diffwave_22k", MEL_HTK, false, 22050, 1024, 80, 20, 11025},
                                    {"wavegrad_22k", MEL_HTK, false, 22050, 2048, 128, 20, 11025},
                                    {"torchaudio_slaney", MEL_SLANEY, true, 16000, 512, 40, 0, 8000},
                                    {"clap_48k", MEL_SLANEY, true, 48000, 1024, 64, 50, 14000},
                                    {"clap_fusion_48k", MEL_HTK, false, 48000, 1024, 64, 50, 14000},
                                    {"whisper_16k", MEL_SLANEY, true, 16000, 400, 80, 0, 8000},
                                    {"panns_32k", MEL_SLANEY, true, 32000, 1024, 64, 50, 14000},
                                    {"panns_16k", MEL_SLANEY, true, 16000, 512, 64, 50, 8000}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) out_bank(c, ROWS[i].name, bank_of(&ROWS[i]));
    out_bank(c, "vggish_16k", vggish_bank());
}

/* --- front ends --- */

static tensor *sound_of(parity_case *c, const char *name) {
    tensor *x = parity_in_f32(c, name);
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] /= 32768;
    return x;
}

/* ln or decades of each value, times a factor. */
static tensor *decades(tensor *x, float factor, float floor) {
    for (int64_t i = 0; i < count(x); i++) f32(x)[i] = factor * log10f(fmaxf(f32(x)[i], floor));
    return x;
}

static tensor *frames_of(const tensor *mel, int64_t first, int64_t n) {
    return tensor_wrap(F32, SHAPE(n, mel->shape[1]), f32(mel) + first * mel->shape[1]);
}

/* The sound whole as often as it goes into `samples`, or once; then zeros. */
static float *filled_up(const tensor *sound, int64_t samples, bool repeat) {
    float *x = NEW_ARRAY(float, samples);
    const int64_t n = count(sound);
    for (int64_t at = 0; at + n <= samples && (repeat || at == 0); at += n)
        memcpy(x + at, sound->data, (size_t) n * sizeof(float));
    return x;
}

/* CLAP, 10 s at 48 kHz, from 0 Hz on: Hugging Face's defaults (the published folders say 50 Hz). */
static void out_clap(parity_case *c, const tensor *sound) {
    enum { SAMPLES = 480000, SHOWN = 110, END = 20, FUSED = 60 };
    static const bank_row PLAIN = {"clap", MEL_SLANEY, true, 48000, 1024, 64, 0, 14000};
    static const bank_row FUSION = {"clap_fusion", MEL_HTK, false, 48000, 1024, 64, 0, 14000};
    const stft_shape s = {1024, 1024, 480, STFT_CENTRED, false};
    const float *x = filled_up(sound, SAMPLES, true);
    const tensor *mel = decades(band_spectrum(&s, bank_of(&PLAIN), BANDS_POWER, x, SAMPLES), 10, 1e-10f);
    parity_out(c, "clap", frames_of(mel, 0, SHOWN));
    parity_out(c, "clap_end", frames_of(mel, mel->shape[0] - END, END));
    mel = decades(band_spectrum(&s, bank_of(&FUSION), BANDS_POWER, x, SAMPLES), 10, 1e-10f);
    parity_out(c, "clap_fusion", frames_of(mel, 0, FUSED));
}

/* Whisper, 30 s at 16 kHz; its last frame is not used. */
static void out_whisper(parity_case *c, const tensor *sound, int bands) {
    enum { SAMPLES = 480000, SHOWN = 104 };
    const bank_row row = {"whisper", MEL_SLANEY, true, 16000, 400, bands, 0, 8000};
    const stft_shape s = {400, 400, 160, STFT_CENTRED, false};
    tensor *mel =
        decades(band_spectrum(&s, bank_of(&row), BANDS_POWER, filled_up(sound, SAMPLES, false), SAMPLES), 1, 1e-10f);
    float loudest = -INFINITY;
    for (int64_t i = 0; i < count(mel) - bands; i++) loudest = fmaxf(loudest, f32(mel)[i]);
    for (int64_t i = 0; i < count(mel); i++) f32(mel)[i] = (fmaxf(f32(mel)[i], loudest - 8) + 4) / 4;
    parity_out(c, format("whisper_%d", bands), bands_first(frames_of(mel, 0, SHOWN)));
}

/* audiocraft's wrapper: powers, the last frame filled with zeros. */
static void out_audiocraft(parity_case *c, const tensor *sound) {
    enum { N_FFT = 1024, HOP = 256 };
    static const bank_row ROW = {"audiocraft", MEL_HTK, false, 22050, N_FFT, 80, 0, 11025};
    const stft_shape padded = {N_FFT, N_FFT, HOP, STFT_HOP_CENTRED, false},
                     plain = {N_FFT, N_FFT, HOP, STFT_UNPADDED, false};
    const int64_t n = count(sound), frames = (n + HOP - 1) / HOP, all = (frames - 1) * HOP + N_FFT;
    float *x = NEW_ARRAY(float, all);
    memcpy(x, stft_pad(&padded, f32(sound), n), (size_t) (n + N_FFT - HOP) * sizeof(float));
    tensor *mel = band_spectrum(&plain, bank_of(&ROW), BANDS_POWER, x, all);
    for (int64_t i = 0; i < count(mel); i++) f32(mel)[i] = log10f(1e-5f + f32(mel)[i]);
    parity_out(c, "audiocraft", bands_first(mel));
}

static void run_front_ends(parity_case *c) {
    static const char *const NAMED[] = {"hifigan", "diffwave", "wavegrad"};
    const tensor *a = sound_of(c, "a"), *b = sound_of(c, "b");
    for (size_t i = 0; i < sizeof NAMED / sizeof *NAMED; i++) {
        const mel_front f = mel_front_named(NAMED[i]);
        parity_out(c, NAMED[i], bands_first(mel_compute(&f, f32(a), count(a))));
    }
    parity_out(c, "vggish", vggish_mel(f32(b), count(b)));
    parity_out(c, "panns_16k", cnn14_mel(&CNN14_16K, f32(b), count(b)));
    out_audiocraft(c, a);
    out_whisper(c, b, 80);
    out_whisper(c, b, 128);
    out_clap(c, sound_of(c, "c"));
}

const parity_row PARITY_MEL[] = {{"signal", "mel filters", run_banks},
                                 {"signal", "mel front ends", run_front_ends},
                                 {"bigvgan", "mel", run_bigvgan_mel},
                                 {0}};
