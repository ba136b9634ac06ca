/* A device below the operations: its memory and its kernels behind one table. The operations of ops.h are written once; where
 * they reach for memory or for a kernel, they ask whether this thread works on a device.
 *
 *     device_open("cuda:0");            // or "auto": the first there is, else none
 *     scope_begin();
 *     device_begin();                   // until the scope ends, results of this thread's operations lie on the device
 *     ... forward, backward ...
 *     scope_end();
 *
 * A tensor made by hand (tensor_new, tensor_from) lies on the host; an operation that is given one takes a copy. f32() and
 * host_data() bring a tensor's values back. All work of a device runs in the order in which it was asked for; only what returns
 * values to the host waits. */
#ifndef HISS_TENSOR_DEVICE_H
#define HISS_TENSOR_DEVICE_H

#include "tensor/kernels.h"

/* What a backend gives. Buffers are the device's unless "host" is said; sizes in bytes or elements as named. F32 sums; a result
 * for the same problem is the same at each call. A function that fails calls the `fail` it was opened with. */
typedef struct device {
    const char *name; /* "NVIDIA H100 80GB HBM3" */
    int64_t memory;   /* bytes */
    bool bf16;        /* multiplies bf16 faster than f32 */

    /* --- memory --- */
    void *(*take)(size_t bytes);
    void (*give)(void *data);
    void (*upload)(void *to, const void *host, size_t bytes);     /* the host's memory may be changed afterwards */
    void (*download)(void *host, const void *from, size_t bytes); /* waits for all work asked for before */
    void (*copy)(void *to, const void *from, size_t bytes);
    void (*clear)(void *to, size_t bytes);
    void (*convert)(void *to, dtype to_type, const void *from, dtype from_type, int64_t n); /* F32 and BF16 */
    void (*wait)(void);

    /* --- rows: as map_rows and the functions of the same names on the CPU --- */
    void (*map_rows)(int64_t count, rows out, bool add, const rows *in, int inputs, row_name kernel,
                     const void *context, size_t context_size);
    /* to [groups, width] += the sums over each group's `count` rows of x [groups, count, width]. */
    void (*sum_rows)(float *to, const float *x, int64_t groups, int64_t count, int64_t width);
    /* sums [batch, 2, C] = of each batch item: the sum of dy, and of dy n, n the normed x (of type x_type). See normalize.c. */
    void (*norm_sums)(const normal *m, const void *x, dtype x_type, const float *dy, int64_t batch, float *sums);
    /* d (+)= the gradient of one part from those sums; NORM_GAIN and NORM_BIAS add up over the batch. */
    void (*norm_part)(const normal *m, int part, const float *sums, int64_t batch, float *d, bool add);
    void (*copy_blocks)(const copying *c, void *to, const void *from, size_t element); /* element: 1, 2 or 4 bytes */
    void (*return_blocks)(const copying *c, float *d, const float *g);                 /* d at `from` += g at `to` */
    /* y [rows, C] = x [rows / factor, C], each row `factor` times; and back: d [rows, C] (+)= sums of factor rows of g. */
    void (*repeat_rows)(void *y, const void *x, int64_t rows, int factor, int64_t row_bytes);
    void (*sum_repeated)(float *d, const float *g, int64_t rows, int factor, int64_t C, bool add);
    /* d [B T, C] (+)= w [B T] g [B, C]; and the other way y [B, C] = the sum over t of w x. */
    void (*weighted_mean)(float *y, const void *x, dtype x_type, const float *w, int64_t B, int64_t T, int64_t C);
    void (*weighted_spread)(float *d, const float *g, const float *w, int64_t B, int64_t T, int64_t C, bool add);
    void (*gather_rows)(float *y, const float *table, const int32_t *host_index, int64_t n, int64_t C);
    void (*scatter_rows)(float *table, const float *g, const int32_t *host_index, int64_t n,
                         int64_t C); /* += in order */
    void (*turn)(const rotary_turn *r, float *y, const float *x, bool add);
    /* y (+)= the filter over x [B, T, C] with w [C, 1, K] and b [C] or NULL; transposed: the way back to x. */
    void (*depthwise)(const depthwise_filter *f, float *y, const void *x, dtype x_type, const float *w, const float *b,
                      bool transposed, bool add);
    /* dw [C, 1, K] and db [C] (each may be NULL) +=. */
    void (*depthwise_weights)(const depthwise_filter *f, float *dw, float *db, const void *x, dtype x_type,
                              const float *dy);

    /* --- products --- */
    /* y [batch, m, n] (F32 or BF16) = or += op(a) op(b) + bias [n] (or NULL): cpu/dnn.h's matmul. a and b of type `in`. */
    void (*matmul)(int64_t batch, int64_t m, int64_t n, int64_t k, dtype in, const void *a, bool a_transposed,
                   const void *b, bool b_transposed, const float *bias, dtype out, void *y, bool accumulate);
    /* columns [out_time, in_c, kernel] of one batch item's x [in_time, in_c], zero outside (element: 2 or 4 bytes), rows first ..
     * first + n - 1 of them; and back: x [in_time, in_c] (+)= what all columns [out_time, in_c, kernel] (F32) add to it. */
    void (*unfold)(void *columns, const void *x, int64_t in_time, int64_t in_c, int kernel, int stride, int dilation,
                   int pad_left, int64_t first, int64_t n, size_t element);
    void (*fold)(float *x, const float *columns, int64_t in_time, int64_t in_c, int64_t out_time, int kernel,
                 int stride, int dilation, int pad_left, bool add);
    /* y [B, T, H D] of type y_type; sums [B, H, T] (the log of each row's sum) or NULL. */
    void (*attend)(const attention_problem *a, void *y, dtype y_type, float *sums);
    /* dq, dk, dv (laid out as q, k, v) and dbias +=; each may be NULL. y and grad [B, T, H D] F32. */
    void (*attend_back)(const attention_problem *a, const float *y, const float *grad, const float *sums, float *dq,
                        float *dk, float *dv, float *dbias);

    /* --- losses and optimiser --- */
    /* *sum (host) = the sum over i < n of w |p - t| or w (p - t)^2, w = weight[i / item] or 1; waits. */
    double (*loss_sum)(const float *p, const float *t, const float *weight, int64_t item, int64_t n, bool square);
    /* d (+)= unit w times the slope of that. */
    void (*loss_slope)(float *d, const float *p, const float *t, const float *weight, int64_t item, int64_t n,
                       bool square, float unit, bool add);
    /* The sum of squares of all n gradients, items[i] of length[i] elements each; waits. */
    double (*sum_squares)(const float *const *items, const int64_t *length, int64_t n);
    void (*adam)(float *w, const float *gradient, float *first, float *second, float *average, int64_t n,
                 const adam_factors *f); /* average may be NULL */
    void (*swap)(float *a, float *b, int64_t n);
} device;

/* Opens a device by name: "cpu" (none), "auto" (the first there is, or none), "cuda" or "cuda:N"; once for the process. Fails if a
 * named one cannot be had, and says why. */
void device_open(const char *name);
/* What "auto" would find, as lines for people; says why where there is none. In the current scope. */
char *device_list(void);
/* The open device, or NULL. */
const device *device_opened(void);

/* This thread's operations run on the open device, if there is one, until the current scope ends. */
void device_begin(void);
/* Whether they do from here on; returns what was before. For operations that the device does not have: they bring their inputs
 * (node.h), switch to the host, and switch back. */
bool device_switch(bool there);
/* The device that this thread's operations run on; NULL: the host. */
const device *device_current(void);

/* Memory of the open device in the current scope. */
void *device_alloc(size_t bytes);

/* A parameter's values there, to read or write; after writing, the host's are older (param_to_host). */
struct param;
float *param_on_device(struct param *p);
void param_changed_there(struct param *p);

/* The backend's door (a library that is loaded when it is there: libhiss-cuda.so, symbol hiss_cuda_open). NULL, with the reason in
 * why, where there is no such device. */
typedef const device *device_opener(int index, void (*fail)(int code, const char *message), char why[256]);

#endif
