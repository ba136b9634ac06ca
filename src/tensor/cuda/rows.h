/* One call of map_rows, and the kernels of it that need a whole row at a time. */
#ifndef HISS_TENSOR_CUDA_ROWS_H
#define HISS_TENSOR_CUDA_ROWS_H

#include "tensor/cuda/cuda.h"

struct row_call {
    int64_t count;
    rows out;
    bool add;
    const rows *in;
    int inputs;
    const void *context;
    size_t context_size;

    /* The context as the kernel's numbers. */
    template <class T> const T *numbers() const {
        if (context_size < sizeof(T)) cuda_check(cudaErrorInvalidValue, "the context of a row kernel");
        return (const T *) context;
    }
};

typedef void row_mapper(const row_call &c);

/* row_norms.cu */
row_mapper map_norm, map_norm_change, map_rms_silu, map_rms_silu_change_x, map_rms_silu_change_f, map_softmax,
    map_softmax_change;

#endif
