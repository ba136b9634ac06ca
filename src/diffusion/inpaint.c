/* Blending, masks, and the order of RePaint's steps. */
#include "diffusion/inpaint.h"

#include <math.h>
#include <string.h>

void blend(tensor *x, const float *keep, int64_t channels, mixing at, const tensor *init, const tensor *noise) {
    require(count(x) == count(init) && count(x) == count(noise));
    for (int64_t i = 0, n = count(x); i < n; i++) {
        double k = (double) keep[i / channels], known = at.a * (double) f32(init)[i] + at.b * (double) f32(noise)[i];
        if (k > 0) f32(x)[i] = (float) (k * known + (1 - k) * (double) f32(x)[i]);
    }
}

void harden(const float *soft, int64_t n, int64_t step, int64_t steps, float *keep) {
    float share = (float) ((double) (step + 1) / (double) steps);
    for (int64_t i = 0; i < n; i++) keep[i] = soft[i] <= share;
}

bool inpaint_touch(void *context, moment when, int64_t step, double sigma, tensor *x) {
    const inpainting *p = context;
    if (when != p->when) return false;
    scope_begin();
    int64_t n = count(x) / p->channels;
    const float *keep = p->keep;
    if (p->soft) {
        float *hard = alloc((size_t) n * sizeof(float));
        harden(p->keep, n, step, p->steps, hard);
        keep = hard;
    }
    const tensor *noise = p->fixed;
    if (!noise) {
        tensor *z = tensor_new(F32, shape_of(x));
        p->noise.draw(p->noise.context, sigma, sigma, f32(z), count(z));
        noise = z;
    }
    blend(x, keep, p->channels, (mixing){1, sigma}, p->init, noise);
    scope_end();
    return true;
}

/* --- masks --- */

static double hann(int64_t i, int64_t n) {
    return n > 1 ? 0.5 - 0.5 * cos(2 * M_PI * (double) i / (double) (n - 1)) : 1;
}

float *soft_mask(int64_t n, double start, double end, double soft_left, double soft_right, double marination) {
    float *mask = NEW_ARRAY(float, n);
    double N = (double) n;
    int64_t first = (int64_t) floor(start / 100 * N), last = (int64_t) ceil(end / 100 * N),
            left = (int64_t) rint(soft_left / 100 * N), right = (int64_t) rint(soft_right / 100 * N);
    for (int64_t i = 0; i < n; i++) {
        double value = i >= first && i < last;
        if (i >= first && i < first + left) value = hann(i - first, 2 * left);
        if (i >= last - right && i < last) value = hann(right + i - (last - right), 2 * right);
        mask[i] = (float) (value * (marination > 0 ? 1 - marination : 1));
    }
    return mask;
}

float *keep_mask(int64_t samples, int64_t rate, const double *starts, const double *ends, size_t spans, double total) {
    float *mask = NEW_ARRAY(float, samples);
    for (int64_t i = 0; i < samples; i++) {
        mask[i] = total <= 0 || i < (int64_t) (total * (double) rate);
        for (size_t s = 0; s < spans; s++)
            if (i >= (int64_t) (starts[s] * (double) rate) && i < (int64_t) (ends[s] * (double) rate)) mask[i] = 0;
    }
    return mask;
}

float *latent_mask(const float *keep, int64_t samples, int64_t frames) {
    float *mask = NEW_ARRAY(float, frames);
    float scale = (float) samples / (float) frames; /* PyTorch's nearest */
    for (int64_t i = 0; i < frames; i++) {
        int64_t at = (int64_t) floorf((float) i * scale);
        mask[i] = keep[at < samples ? at : samples - 1];
    }
    return mask;
}

/* --- orders of steps --- */

int64_t *repaint_order(int64_t steps, int64_t jump, int64_t times, size_t *count) {
    int64_t *left = NEW_ARRAY(int64_t, steps + 1),
            most = steps + (steps / jump + 1) * (times > 1 ? times - 1 : 0) * 2 * jump;
    int64_t *order = NEW_ARRAY(int64_t, most);
    size_t n = 0;
    for (int64_t j = 0; j < steps - jump; j += jump) left[j] = times - 1;
    for (int64_t t = steps; t >= 1;) {
        order[n++] = --t;
        if (left[t]-- <= 0) continue;
        for (int64_t k = 0; k < jump; k++) order[n++] = ++t;
    }
    *count = n;
    return order;
}

int64_t strength_steps(int64_t steps, double strength) {
    int64_t kept = (int64_t) ((double) steps * strength);
    return kept < 0 ? 0 : kept > steps ? steps : kept;
}
