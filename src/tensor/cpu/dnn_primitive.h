/* oneDNN's primitives, made once for each problem and kept; a parameter's weights in the layout a primitive wants, reordered once per
 * version. One thread at a time runs a primitive (each uses all cores). For dnn.c and dnn_weights.c alone. */
#ifndef HISS_TENSOR_CPU_DNN_PRIMITIVE_H
#define HISS_TENSOR_CPU_DNN_PRIMITIVE_H

#include "tensor/cpu/dnn_api.h"
#include "tensor/tape.h"

/* What a primitive is found by: all numbers, no padding bytes (memcmp). work: which of the problems it is. */
typedef struct {
    int64_t work, threads, in, out, bias, accumulate, dims[20];
} problem_key;

enum { X, W, BIAS, Y, SCRATCH, ROLES };

typedef struct primitive {
    problem_key key;
    struct primitive *next;
    dnnl_primitive_t handle;
    dnnl_primitive_desc_t description;
    dnnl_memory_t memory[ROLES];
    int argument[ROLES];
    size_t scratch;
    bool unsupported;
} primitive;

dnnl_engine_t dnn_engine(void);
dnnl_data_type_t dnn_type(dtype t);

/* Opens a scope that holds the lock of all that follows; scope_end() lets it go, on errors too. */
void dnn_begin(void);
/* The primitive of that key, described first if there is none. */
typedef void describer(primitive *p, const void *problem);
primitive *dnn_find(const problem_key *key, describer *describe, const void *problem);
void dnn_run(primitive *p, void *const handles[ROLES]);
/* The same values in another layout. */
void dnn_reorder(layout from, void *source, layout to, void *target);

/* For describers: a layout that the description asks for, the argument of a role, and the end. */
layout dnn_described(const primitive *p, dnnl_query_t what, int index);
void dnn_give_memory(primitive *p, int role, int argument, layout l);
void dnn_finish(primitive *p);

/* w in the layout `wanted`, kept with its parameter. plain: how the checkpoint's values lie, in a type; turned: w is the transposed
 * matrix, which the layout of a square one does not tell. */
typedef layout plain_layout(const void *problem, dnnl_data_type_t type);
void *dnn_pack(const tensor *w, plain_layout *plain, const void *problem, bool turned, layout wanted);

#endif
