/* The elementwise kernels that a device knows by name, with the numbers each is given: what the CPU's kernel of the same name
 * does (in src/tensor), one element or one row at a time. Also read by CUDA's compiler: plain C that is C++ too.
 *
 * `rows` of an operand lie one after the other, `width` elements each; in[i] may be left out (data NULL) where said. C is the
 * narrow width. Pointers inside a context are the device's, F32. */
#ifndef HISS_TENSOR_KERNELS_H
#define HISS_TENSOR_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/dtype.h"

/* Operands seen as matrices of rows. */
typedef struct {
    void *data;
    dtype type; /* F32 or BF16 */
    int64_t width;
} rows;

typedef enum {
    /* elementwise.c; context unary. A slope is given x, dy -> dy f'(x). */
    ROW_SCALE,
    ROW_SCALE_SLOPE,
    ROW_LEAKY,
    ROW_LEAKY_SLOPE,
    ROW_SILU,
    ROW_SILU_SLOPE,
    ROW_TANH,
    ROW_TANH_SLOPE,
    ROW_GELU,
    ROW_GELU_SLOPE,
    ROW_GELU_TANH,
    ROW_GELU_TANH_SLOPE,
    ROW_ROOT,       /* sqrt(max(x, 0)) */
    ROW_ROOT_SLOPE, /* 0.5 / sqrt(max(x, 1e-12)) */
    ROW_ELU,        /* x, or exp(x) - 1 below 0 */
    ROW_ELU_SLOPE,
    ROW_ADD,      /* a, b; context width_only */
    ROW_ADD_ROWS, /* x; context shared_row: x + d */
    /* broadcast.c; context gating */
    ROW_GATE,     /* x or none, y -> x + y gate */
    ROW_MULTIPLY, /* a, b */
    /* normalize.c; context normal */
    ROW_NORM,
    ROW_NORM_SLOPE, /* x, dy -> dx */
    /* norm.c; context rms_modulation */
    ROW_RMS_SILU,
    ROW_RMS_SILU_SLOPE_X, /* x, dy -> dx */
    ROW_RMS_SILU_SLOPE_F, /* x, dy -> [rows, 2C]: what each row adds to the gradient of f */
    /* glu.c; context glu_halves */
    ROW_GLU,
    ROW_GLU_SLOPE, /* x, dy -> dx */
    /* softmax.c; context width_only */
    ROW_SOFTMAX,
    ROW_SOFTMAX_SLOPE, /* y, dy -> dx */
    /* gates.c */
    ROW_GATED_TANH,       /* a, b or none; context width_only with C */
    ROW_GATED_TANH_SLOPE, /* a, b or none, dy -> [rows, 2C] */
    ROW_COPY,             /* context width_only with the width */
    ROW_HALF,             /* x or none, r [rows, 2C]; context residual_half */
    ROW_HALF_SLOPE_X,     /* dy */
    ROW_HALF_SLOPE_R,     /* dy -> [rows, 2C] */
    ROW_FILM,             /* x, f [rows, 2C]; context film_modulation */
    ROW_FILM_SLOPE_X,     /* x, f, dy */
    ROW_FILM_SLOPE_F,     /* x, f, dy -> [rows, 2C] */
    /* standardize.c: (x - mean) / deviation, cut to +-limit; context normalising */
    ROW_NORMALISE,
    /* snake.c; context snake_waves */
    ROW_SNAKE,             /* x -> x + sin(a x)^2 inverse_b */
    ROW_SNAKE_SLOPE,       /* x, dy -> dx */
    ROW_SNAKE_SLOPE_ALPHA, /* x, dy -> [rows, C]: what each row adds to the gradient of ln a */
    ROW_SNAKE_SLOPE_BETA,  /* and of ln b */
    ROW_NAMES
} row_name;

typedef struct {
    int64_t width;
} width_only;

typedef struct {
    float parameter; /* factor, slope */
    int64_t width;
} unary_numbers;

typedef struct {
    const float *d;
    int64_t positions, width; /* rows of x to one row of d */
} shared_row;

typedef struct {
    const float *gate;    /* [rows / positions, C], or NULL for ones */
    int64_t positions, C; /* rows of x to one row of gate */
} gating;

enum { NORM_X, NORM_GAIN, NORM_BIAS, NORM_SCALE, NORM_SHIFT, NORM_PARTS };
typedef struct {
    const float *part[NORM_PARTS]; /* all but NORM_X; NULL where left out */
    int64_t positions, C;          /* rows to one row of scale and shift */
    float eps;
    bool centred; /* layer norm */
} normal;

typedef struct {
    const float *f;       /* [rows / positions, 2C] gain and shift, or NULL */
    int64_t positions, C; /* rows of x to one row of f */
} rms_modulation;

typedef struct {
    int kind;               /* glu_kind */
    int64_t C, gate, plain; /* where the halves begin */
} glu_halves;

typedef struct {
    int64_t C, offset; /* which half of r begins where */
    float factor;
} residual_half;

typedef struct {
    int64_t C;
    float slope;
} film_modulation;

typedef struct {
    const float *mean, *deviation; /* [width] */
    float limit;
    int64_t width;
} normalising;

typedef struct {
    const float *a, *inverse_b; /* [C] */
    int64_t C;
} snake_waves;

/* Blocks of `length` elements, `to_step` and `from_step` apart: how runs of rows and channels are cut and joined. */
typedef struct {
    int64_t blocks, length, from, from_step, to, to_step;
} copying;

/* Depthwise convolution: row t of y reads rows t - pad + k dilation of x. */
typedef struct {
    int64_t B, T, C, K, dilation, pad;
} depthwise_filter;

/* Rotary positions: pairs of each head's first dims channels; table [T, 2, dims / 2] of cos, sin. */
typedef struct {
    int64_t batch, T, C;
    int heads, dims;
    bool interleaved;
    const float *table;
    float direction; /* 1, or -1 on the way back */
} rotary_turn;

/* Attention: softmax(q k^T scale + bias) v by heads. q [B, T, H D]; k, v [B, S, G D]. */
typedef struct {
    int64_t B, T, S, H, G, D;
    const void *q, *k, *v;
    int q_type, k_type, v_type; /* dtype: F32 or BF16 */
    const float *bias;          /* [bias_batch, bias_heads, T, S] or NULL */
    const uint8_t *mask;        /* [B, S] or NULL: 0 hides the key */
    int64_t bias_batch, bias_heads;
    float scale;
    bool causal; /* query t sees keys up to t + S - T */
    bool bf16;   /* operands may be rounded to BF16, as matrix operands are; else only where q, k and v are BF16 */
    float *sums; /* [B, H, T]: the log of each row's sum, kept for the way back; or NULL */
} attention_problem;

/* Adam's factors of one update, rounded once: see train/optimizer.c. */
typedef struct {
    float clip, shrink, couple; /* of the gradient; of the weights (AdamW); of the weights added to it (Adam) */
    float beta2, one_minus_beta1, one_minus_beta2, step, correction, epsilon, average;
} adam_factors;

#endif
