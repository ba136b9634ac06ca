/* See cnn14.h. */
#include "models/cnn14.h"

#include <math.h>

#include "nn/layers.h"
#include "nn/planes.h"
#include "signal/bands.h"

enum { BLOCKS = 6 };
static const int WIDTHS[BLOCKS + 1] = {1, 64, 128, 256, 512, 1024, 2048};

const cnn14_front CNN14_32K = {32000, 1024, 320, 50, 14000}, CNN14_16K = {16000, 512, 160, 50, 8000};

struct cnn14 {
    batch_norm bands, norm[BLOCKS][2];
    const tensor *conv[BLOCKS][2]; /* [out, in, 3, 3] */
    affine features, classes;
};

const cnn14_front *cnn14_front_of(const store *s) {
    return store_dimension(s, "logmel_extractor.melW", 0, 0) == CNN14_16K.n_fft / 2 + 1 ? &CNN14_16K : &CNN14_32K;
}

bool cnn14_known(const store *s) {
    return store_find(s, "conv_block6.conv2.weight") && store_find(s, "fc_audioset.weight");
}

cnn14 *cnn14_bind(binder *b) {
    const init any = {INIT_XAVIER_UNIFORM, 0, 0};
    cnn14 *net = NEW(cnn14);
    net->bands = bind_batch_norm(b, "bn0", CNN14_BANDS);
    for (int i = 0; i < BLOCKS; i++) {
        bind_push(b, "conv_block%d", i + 1);
        for (int k = 0; k < 2; k++) {
            net->conv[i][k] = bind(b, format("conv%d.weight", k + 1), SHAPE(WIDTHS[i + 1], WIDTHS[i + k], 3, 3), any);
            net->norm[i][k] = bind_batch_norm(b, format("bn%d", k + 1), WIDTHS[i + 1]);
        }
        bind_pop(b);
    }
    net->features = bind_linear(b, "fc1", CNN14_FEATURES, CNN14_FEATURES);
    net->classes = bind_linear(b, "fc_audioset", CNN14_CLASSES, CNN14_FEATURES);
    return net;
}

tensor *cnn14_mel(const cnn14_front *f, const float *samples, int64_t n) {
    const stft_shape shape = {f->n_fft, f->n_fft, f->hop, STFT_CENTRED, false};
    const mel_bank *bank = mel_bank_new(MEL_SLANEY, true, f->rate, f->n_fft, CNN14_BANDS, f->low_hz, f->high_hz);
    tensor *mel = band_spectrum(&shape, bank, BANDS_POWER, samples, n);
    for (int64_t i = 0; i < count(mel); i++) f32(mel)[i] = 10 * log10f(fmaxf(f32(mel)[i], 1e-10f));
    return mel;
}

/* [1, T, W, C]: mean over W, then the greatest plus the mean over T -> [1, C]. */
static tensor *summary(const tensor *x) {
    const int64_t T = x->shape[1], W = x->shape[2], C = x->shape[3];
    tensor *y = tensor_new(F32, SHAPE(1, C));
    for (int64_t c = 0; c < C; c++) {
        float most = -INFINITY, sum = 0;
        for (int64_t t = 0; t < T; t++) {
            float mean = 0;
            for (int64_t w = 0; w < W; w++) mean += f32(x)[(t * W + w) * C + c] / (float) W;
            most = fmaxf(most, mean);
            sum += mean / (float) T;
        }
        f32(y)[c] = most + sum;
    }
    return y;
}

tensor *cnn14_forward(const cnn14 *net, const tensor *mel, tensor **logits) {
    if (mel->shape[0] < 1 << (BLOCKS - 1))
        fail(HISS_ERROR_ARGUMENT, "Cnn14 needs %d frames or more; continue the sound with zeros", 1 << (BLOCKS - 1));
    tensor *x = tensor_to_f32(mel);
    apply_batch_norm(&net->bands, x, false);
    x = tensor_wrap(F32, SHAPE(1, mel->shape[0], CNN14_BANDS, 1), host_data(x));
    for (int i = 0; i < BLOCKS; i++) {
        scope_begin();
        for (int k = 0; k < 2; k++) {
            x = planes_conv(x, net->conv[i][k], NULL);
            apply_batch_norm(&net->norm[i][k], x, true);
        }
        x = scope_end_keep(i + 1 < BLOCKS ? planes_pool(x, POOL_MEAN) : x);
    }
    tensor *features = apply_linear(net->features, summary(x));
    planes_relu(features);
    if (logits) *logits = apply_linear(net->classes, features);
    return features;
}
