#include "systems/rough.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "signal/canvas.h"
#include "signal/image.h"
#include "systems/generate.h"

static const float QUIETEST = -11.512925f, LOUDEST = 1.5f; /* ln of magnitude of black and white */

bool rough_has_no_length(const char *path) { return !strcmp(path_extension(path), ".png"); }

static tensor *of_picture(const char *path, const mel_front *f, double seconds) {
    int64_t frames = (int64_t) ceil(seconds * f->rate / f->stft.hop), M = f->bands;
    scope_begin();
    tensor *image = image_resize(image_read_grey(path), M, frames), *mel = tensor_new(F32, SHAPE(frames, M));
    for (int64_t t = 0; t < frames; t++)
        for (int64_t m = 0; m < M; m++)
            f32(mel)[t * M + m] = QUIETEST + (LOUDEST - QUIETEST) * f32(image)[(M - 1 - m) * frames + t];
    return scope_end_keep(mel);
}

void rough_draw(const char *path, const tensor *mel) {
    const int64_t F = mel->shape[0], M = mel->shape[1];
    if (F > IMAGE_MOST_SIDE)
        fail(HISS_ERROR_ARGUMENT, "%s: %lld frames are too long for a picture; %d fit", path, (long long) F,
             IMAGE_MOST_SIDE);
    scope_begin();
    canvas *c = canvas_new((int) F, (int) M, (colour){0, 0, 0});
    for (int64_t t = 0; t < F; t++)
        for (int64_t m = 0; m < M; m++) {
            const float level = (f32(mel)[t * M + m] - QUIETEST) / (LOUDEST - QUIETEST);
            const uint8_t grey = (uint8_t) lrintf(255 * fminf(fmaxf(level, 0), 1));
            c->pixels[(M - 1 - m) * F + t] = (colour){grey, grey, grey};
        }
    canvas_write(c, path);
    scope_end();
}

tensor *rough_mel(const char *path, double seconds) {
    const char *extension = path_extension(path);
    mel_front f = mel_front_named("hiss");
    if (rough_has_no_length(path)) return of_picture(path, &f, seconds);
    if (!strcmp(extension, ".npy") || !strcmp(extension, ".safetensors")) return mel_read(path, f.bands, false);
    return mel_of(&f, audio_read(path));
}
