/* What the products' files share beside cuda.h. */
#ifndef HISS_TENSOR_CUDA_PRODUCTS_H
#define HISS_TENSOR_CUDA_PRODUCTS_H

#include "tensor/cuda/cuda.h"

#include <cuda_bf16.h>

extern int chosen_device;        /* its number */
extern int hiss_multiprocessors; /* of the open device */
extern int hiss_shared_bytes;    /* of shared memory that a block may ask for */

/* Element i of x, F32 or BF16, as a number. */
static __device__ __forceinline__ float element(const void *x, int type, int64_t i) {
    if (type == BF16) return __uint_as_float((uint32_t) ((const uint16_t *) x)[i] << 16);
    return ((const float *) x)[i];
}

static __device__ __forceinline__ void set_element(void *x, int type, int64_t i, float value) {
    if (type == BF16) ((__nv_bfloat16 *) x)[i] = __float2bfloat16_rn(value);
    else ((float *) x)[i] = value;
}

#endif
