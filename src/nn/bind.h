/* One walk over the parameters. A network's bind function names each tensor and its shape as the published checkpoint
 * does; the same walk loads, initialises, counts, and hands parameters to the optimiser and to the saver. */
#ifndef HISS_NN_BIND_H
#define HISS_NN_BIND_H

#include "base/random.h"
#include "store/store.h"
#include "tensor/tape.h"

/* How a new parameter starts; fan-in is the product of all dimensions but the first. */
typedef enum {
    INIT_ZERO,
    INIT_ONE,
    INIT_KAIMING_NORMAL, /* std sqrt(2 / fan_in) */
    INIT_TORCH_UNIFORM,  /* +-1 / sqrt(fan_in): torch's default for weights */
    INIT_XAVIER_UNIFORM, /* +-sqrt(6 / (fan_in + fan_out)) */
    INIT_XAVIER_NORMAL,
    INIT_ORTHOGONAL, /* rows (or columns) orthonormal, matrix [out, fan_in] */
    INIT_NORMAL      /* std 1 */
} init_kind;
typedef struct {
    init_kind kind;
    int64_t fan_in; /* for biases with INIT_TORCH_UNIFORM; 0: from the shape */
    float scale;    /* multiplies; 0 counts as 1 */
} init;

typedef struct binder binder;
/* From a file's tensors (converted to F32), or new values drawn with a key. Both make the parameters in the current
 * scope, which must live as long as the network. */
binder *binder_load(const store *s);
binder *binder_new(random_key key);

/* What is bound from now on is of a network that is run once: nothing of it is kept packed. */
void binder_once(binder *b);

/* The parameter `name` with prefixes before it. A file may hold a `weight` as weight norm does, in gain and direction: they
 * are united. */
tensor *bind(binder *b, const char *name, shape s, init how);
/* Adds "text." before the names bound until the matching pop. */
void bind_push(binder *b, const char *format, ...) PRINTF_LIKE(2, 3);
void bind_pop(binder *b);
/* A name in the file that is known and not needed (buffers). */
void bind_ignore(binder *b, const char *name);

/* Ends the walk. Missing or misshapen tensors are one error that lists them all (up to 20); unexpected ones too if
 * strict, else they are kept for binder_unexpected. */
params *binder_finish(binder *b, bool strict);
const char *const *binder_unexpected(const binder *b, size_t *count);

/* Saves in the checkpoint's names; type F32 or BF16 for the stored values. */
void params_save(const params *p, const char *path, dtype type, json_t *metadata);

#endif
