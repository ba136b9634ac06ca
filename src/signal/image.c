#include "signal/image.h"

#include <math.h>
#include <png.h>
#include <string.h>

#include "base/file.h"

static void free_image(void *image) { png_image_free(image); }

tensor *image_read_grey(const char *path) {
    bytes file = file_read(path, (size_t) 1 << 28);
    png_image *image = NEW(png_image);
    image->version = PNG_IMAGE_VERSION;
    defer(free_image, image);
    if (!png_image_begin_read_from_memory(image, file.data, file.size))
        fail(HISS_ERROR_FORMAT, "%s: cannot be read as a PNG picture: %s", path, image->message);
    if (image->width > IMAGE_MOST_SIDE || image->height > IMAGE_MOST_SIDE || !image->width || !image->height)
        fail(HISS_ERROR_FORMAT, "%s: %u x %u pixels; at most %d each way are read", path, (unsigned) image->width,
             (unsigned) image->height, (int) IMAGE_MOST_SIDE);
    image->format = PNG_FORMAT_GRAY;
    int64_t n = (int64_t) image->width * image->height;
    uint8_t *pixels = alloc((size_t) n);
    if (!png_image_finish_read(image, &(png_color){0, 0, 0}, pixels, 0, NULL))
        fail(HISS_ERROR_FORMAT, "%s: a damaged PNG picture: %s", path, image->message);
    tensor *grey = tensor_new(F32, SHAPE(image->height, image->width));
    for (int64_t i = 0; i < n; i++) f32(grey)[i] = (float) pixels[i] / 255;
    return grey;
}

/* Row r of `count` vectors of `from` many, stride apart, to `to` many. */
static void resize_line(const float *in, int64_t from, int64_t in_step, float *out, int64_t to, int64_t out_step) {
    double ratio = (double) from / (double) to, reach = fmax(ratio, 1);
    for (int64_t i = 0; i < to; i++) {
        double centre = ((double) i + 0.5) * ratio - 0.5, sum = 0, weights = 0;
        for (int64_t k = (int64_t) ceil(centre - reach); (double) k <= centre + reach; k++) {
            double weight = 1 - fabs((double) k - centre) / reach;
            int64_t at = k < 0 ? 0 : k >= from ? from - 1 : k;
            sum += weight * in[at * in_step];
            weights += weight;
        }
        out[i * out_step] = (float) (sum / weights);
    }
}

tensor *image_resize(const tensor *image, int64_t height, int64_t width) {
    int64_t H = image->shape[0], W = image->shape[1];
    tensor *result = tensor_new(F32, SHAPE(height, width));
    scope_begin();
    float *wide = alloc((size_t) (H * width) * sizeof(float));
    for (int64_t y = 0; y < H; y++) resize_line(f32(image) + y * W, W, 1, wide + y * width, width, 1);
    for (int64_t x = 0; x < width; x++) resize_line(wide + x, H, width, f32(result) + x, height, width);
    scope_end();
    return result;
}
