/* Pictures read: PNG files as levels of grey. */
#ifndef HISS_SIGNAL_IMAGE_H
#define HISS_SIGNAL_IMAGE_H

#include "tensor/tensor.h"

enum { IMAGE_MOST_SIDE = 8192 };

/* [height, width] F32 from the top left, 0 black to 1 white; transparent parts over black. Fails on what is no PNG, is damaged, or
 * larger than IMAGE_MOST_SIDE either way. In the current scope. */
tensor *image_read_grey(const char *path);

/* The same at another size, linear between pixels; smaller sizes take the mean of what a pixel covers. */
tensor *image_resize(const tensor *image, int64_t height, int64_t width);

#endif
