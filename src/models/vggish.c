/* See vggish.h. Max-pooling follows the convolutions that `pool` marks; flattened frame, band, channel: channels last as they are. */
#include "models/vggish.h"

#include <math.h>
#include <string.h>

#include "nn/layers.h"
#include "nn/planes.h"
#include "signal/bands.h"

enum { CONVS = 6, LINEARS = 3, PATCHES_AT_ONCE = 8 };
static const struct {
    int index, channels;
    bool pool;
} LAYERS[CONVS] = {{0, 64, true}, {3, 128, true}, {6, 256, false}, {8, 256, true}, {11, 512, false}, {13, 512, true}};

struct vggish {
    affine conv[CONVS], linear[LINEARS];
    const tensor *eigen, *means; /* [128, 128], [128] or NULL */
};

bool vggish_known(const store *s) {
    return store_find(s, "features.13.weight") && store_find(s, "embeddings.4.weight");
}

vggish *vggish_bind(const store *s, binder *b) {
    static const int64_t WIDTHS[LINEARS + 1] = {6 * 4 * 512, 4096, 4096, VGGISH_FEATURES};
    const init any = {INIT_TORCH_UNIFORM, 0, 0};
    vggish *net = NEW(vggish);
    int64_t in = 1;
    for (int i = 0; i < CONVS; i++) {
        net->conv[i] =
            bind_affine(b, format("features.%d", LAYERS[i].index), SHAPE(LAYERS[i].channels, in, 3, 3), any, false);
        in = LAYERS[i].channels;
    }
    for (int i = 0; i < LINEARS; i++)
        net->linear[i] = bind_linear(b, format("embeddings.%d", 2 * i), WIDTHS[i + 1], WIDTHS[i]);
    if (!store_find(s, "pca_eigen_vectors")) return net;
    net->eigen = bind(b, "pca_eigen_vectors", SHAPE(VGGISH_FEATURES, VGGISH_FEATURES), any);
    net->means = bind(b, "pca_means", SHAPE(VGGISH_FEATURES), any);
    return net;
}

/* --- front end --- */

enum { N_FFT = 512 };

/* Triangles straight in mel, 125 to 7500 Hz; no DC. */
mel_bank *vggish_bank(void) {
    const double low = mel_from_hz(MEL_HTK, 125), step = (mel_from_hz(MEL_HTK, 7500) - low) / (VGGISH_BANDS + 1);
    mel_bank *b = NEW(mel_bank);
    *b = (mel_bank){.bands = VGGISH_BANDS, .bins = N_FFT / 2 + 1};
    b->first = NEW_ARRAY(int, b->bands);
    b->count = NEW_ARRAY(int, b->bands);
    b->offset = NEW_ARRAY(int, b->bands);
    b->values = NEW_ARRAY(float, b->bands * b->bins);
    for (int m = 0; m < b->bands; m++) {
        b->offset[m] = m * b->bins;
        b->count[m] = b->bins;
        for (int k = 1; k < b->bins; k++) {
            double at = (mel_from_hz(MEL_HTK, (double) k * VGGISH_RATE / N_FFT) - low) / step - m;
            b->values[m * b->bins + k] = (float) fmax(0, fmin(at, 2 - at));
        }
    }
    return b;
}

tensor *vggish_mel(const float *samples, int64_t n) {
    enum { WINDOW = 400, HOP = 160, BEFORE = (N_FFT - WINDOW) / 2 };
    const stft_shape window = {N_FFT, WINDOW, HOP, STFT_UNPADDED, false};
    const int64_t frames = n < WINDOW ? 0 : 1 + (n - WINDOW) / HOP;
    if (!frames) return NULL;
    tensor *out = tensor_new(F32, SHAPE(frames, VGGISH_BANDS));
    scope_begin();
    float *moved = NEW_ARRAY(float, n + 2 * BEFORE); /* the window begins with the frame, not in its middle */
    memcpy(moved + BEFORE, samples, (size_t) n * sizeof(float));
    const tensor *mel = band_spectrum(&window, vggish_bank(), BANDS_MAGNITUDE, moved, n + 2 * BEFORE);
    for (int64_t i = 0; i < count(out); i++) f32(out)[i] = logf(f32(mel)[i] + 0.01f);
    scope_end();
    return out;
}

tensor *vggish_patches(const float *samples, int64_t n) {
    tensor *mel = vggish_mel(samples, n);
    const int64_t patches = mel ? mel->shape[0] / VGGISH_FRAMES : 0;
    return patches ? tensor_wrap(F32, SHAPE(patches, VGGISH_FRAMES, VGGISH_BANDS), f32(mel)) : NULL;
}

/* --- network --- */

static tensor *forward(const vggish *net, const tensor *patches) {
    const int64_t P = patches->shape[0];
    tensor *x = tensor_wrap(F32, SHAPE(P, VGGISH_FRAMES, VGGISH_BANDS, 1), patches->data);
    for (int i = 0; i < CONVS; i++) {
        x = planes_conv(x, net->conv[i].weight, net->conv[i].bias);
        planes_relu(x);
        if (LAYERS[i].pool) x = planes_pool(x, POOL_MAX);
    }
    x = tensor_wrap(F32, SHAPE(P, count(x) / P), host_data(x));
    for (int i = 0; i < LINEARS; i++) {
        x = apply_linear(net->linear[i], x);
        if (i + 1 < LINEARS) planes_relu(x);
    }
    return x;
}

tensor *vggish_forward(const vggish *net, const tensor *patches) {
    const int64_t P = patches->shape[0], size = VGGISH_FRAMES * VGGISH_BANDS;
    tensor *out = tensor_new(F32, SHAPE(P, VGGISH_FEATURES));
    for (int64_t i = 0; i < P; i += PATCHES_AT_ONCE) {
        scope_begin();
        int64_t n = P - i < PATCHES_AT_ONCE ? P - i : PATCHES_AT_ONCE;
        const tensor *part =
            forward(net, tensor_wrap(F32, SHAPE(n, VGGISH_FRAMES, VGGISH_BANDS), f32(patches) + i * size));
        memcpy(f32(out) + i * VGGISH_FEATURES, f32(part), tensor_bytes(part));
        scope_end();
    }
    return out;
}

bool vggish_has_pca(const vggish *net) { return net->eigen != NULL; }

tensor *vggish_pca(const vggish *net, const tensor *features) {
    require(net->eigen);
    enum { D = VGGISH_FEATURES };
    const int64_t P = features->shape[0];
    tensor *out = tensor_new(F32, SHAPE(P, D));
    for (int64_t p = 0; p < P; p++)
        for (int i = 0; i < D; i++) {
            double sum = 0;
            for (int j = 0; j < D; j++)
                sum += f32(net->eigen)[i * D + j] * ((double) fmaxf(f32(features)[p * D + j], 0) - f32(net->means)[j]);
            f32(out)[p * D + i] = (float) sum;
        }
    return out;
}

tensor *vggish_quantise(const tensor *components) {
    tensor *out = tensor_new(F32, shape_of(components));
    for (int64_t i = 0; i < count(out); i++)
        f32(out)[i] = rintf((fminf(fmaxf(f32(components)[i], -2), 2) + 2) * 255 / 4);
    return out;
}
