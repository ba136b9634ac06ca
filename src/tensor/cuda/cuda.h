/* The CUDA backend behind the table of tensor/device.h: what its files share. Every kernel is launched on one stream, in the
 * order in which it was asked for; nothing waits but what returns values to the host.
 *
 * Prototypes are those of the table's entries, with cuda_ before the name; open.cu fills the table with them. Each works out
 * nothing for zero elements: a launch of an empty grid is an error. */
#ifndef HISS_TENSOR_CUDA_CUDA_H
#define HISS_TENSOR_CUDA_CUDA_H

#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/kernels.h"

extern cudaStream_t cuda_stream;
extern int hiss_multiprocessors; /* of the open device */

/* Calls the `fail` the backend was opened with, unless all is well; does not return then. */
void cuda_check(cudaError_t result, const char *what);
/* After each launch: a bad configuration shows at once, a fault in the kernel at the next wait. */
#define CHECK_LAUNCH(name) cuda_check(cudaGetLastError(), name)

/* Memory of the device for partial results, at least `bytes`, aligned to 256; valid until the next call of an entry of the table.
 * Grows and stays: an entry asks once for all it needs. */
void *cuda_scratch(size_t bytes);

/* --- memory: memory.cu --- */
void *cuda_take(size_t bytes);
void cuda_give(void *data);
void cuda_upload(void *to, const void *host, size_t bytes);
void cuda_download(void *host, const void *from, size_t bytes);
void cuda_copy(void *to, const void *from, size_t bytes);
void cuda_clear(void *to, size_t bytes);
void cuda_wait(void);

/* --- rows: rows.cu, row_norms.cu --- */
void cuda_map_rows(int64_t count, rows out, bool add, const rows *in, int inputs, row_name kernel, const void *context,
                   size_t context_size);

/* --- sums: sums.cu, norm_sums.cu, losses.cu --- */
void cuda_sum_rows(float *to, const float *x, int64_t groups, int64_t count, int64_t width);
void cuda_norm_sums(const normal *m, const void *x, dtype x_type, const float *dy, int64_t batch, float *sums);
void cuda_norm_part(const normal *m, int part, const float *sums, int64_t batch, float *d, bool add);
void cuda_sum_repeated(float *d, const float *g, int64_t rows, int factor, int64_t C, bool add);
void cuda_weighted_mean(float *y, const void *x, dtype x_type, const float *w, int64_t B, int64_t T, int64_t C);
void cuda_weighted_spread(float *d, const float *g, const float *w, int64_t B, int64_t T, int64_t C, bool add);

/* --- moves: moves.cu, index.cu, depthwise.cu, unfold.cu --- */
void cuda_convert(void *to, dtype to_type, const void *from, dtype from_type, int64_t n);
void cuda_copy_blocks(const copying *c, void *to, const void *from, size_t element);
void cuda_return_blocks(const copying *c, float *d, const float *g);
void cuda_repeat_rows(void *y, const void *x, int64_t rows, int factor, int64_t row_bytes);
void cuda_gather_rows(float *y, const float *table, const int32_t *host_index, int64_t n, int64_t C);
void cuda_scatter_rows(float *table, const float *g, const int32_t *host_index, int64_t n, int64_t C);
void cuda_turn(const rotary_turn *r, float *y, const float *x, bool add);
void cuda_depthwise(const depthwise_filter *f, float *y, const void *x, dtype x_type, const float *w, const float *b,
                    bool transposed, bool add);
void cuda_depthwise_weights(const depthwise_filter *f, float *dw, float *db, const void *x, dtype x_type,
                            const float *dy);
void cuda_unfold(void *columns, const void *x, int64_t in_time, int64_t in_c, int kernel, int stride, int dilation,
                 int pad_left, int64_t first, int64_t n, size_t element);
void cuda_fold(float *x, const float *columns, int64_t in_time, int64_t in_c, int64_t out_time, int kernel, int stride,
               int dilation, int pad_left, bool add);

/* --- products: matmul.cu, attention.cu --- */
void cuda_matmul(int64_t batch, int64_t m, int64_t n, int64_t k, dtype in, const void *a, bool a_transposed,
                 const void *b, bool b_transposed, const float *bias, dtype out, void *y, bool accumulate);
void cuda_attend(const attention_problem *a, void *y, dtype y_type, float *sums);
void cuda_attend_back(const attention_problem *a, const float *y, const float *grad, const float *sums, float *dq,
                      float *dk, float *dv, float *dbias);

/* --- losses and optimiser: losses.cu --- */
double cuda_loss_sum(const float *p, const float *t, const float *weight, int64_t item, int64_t n, bool square);
void cuda_loss_slope(float *d, const float *p, const float *t, const float *weight, int64_t item, int64_t n,
                     bool square, float unit, bool add);
double cuda_sum_squares(const float *const *items, const int64_t *length, int64_t n);
void cuda_adam(float *w, const float *gradient, float *first, float *second, float *average, int64_t n,
               const adam_factors *f);
void cuda_swap(float *a, float *b, int64_t n);

#endif
