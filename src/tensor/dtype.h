/* The element types of tensors. */
#ifndef HISS_TENSOR_DTYPE_H
#define HISS_TENSOR_DTYPE_H

#include <stddef.h>

typedef enum { F32, BF16, F16, F64, I64, I32, I16, I8, U8, BOOL8, DTYPES } dtype;
size_t dtype_size(dtype t);
const char *dtype_name(dtype t); /* as safetensors spells it: "F32", "BF16", ... */

#endif
