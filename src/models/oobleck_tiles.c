/* Oobleck piece by piece. Each stage works on a piece of its output with the rows of its input that the piece depends on, and a
 * piece is handed on before the next one is begun; rows near a cut are wrong by what is missing there and are not handed on.
 * The slow stages, whose reach is long in seconds, have longer pieces than the fast ones, whose rows take the memory. */
#include <string.h>

#include "models/oobleck.h"
#include "tensor/ops.h"

/* Pieces of the stage next to the latents, and of all others of the encoder and at most of the decoder, in frames. */
enum { SLOW_PIECE = 128, FAST_PIECE = 16, FAST_PIECE_MOST = 32 };
/* Numbers that a stage of the decoder gives for a piece: few enough for the caches, many enough for the rows around it to be few. */
enum { PIECE_VALUES = 1 << 19 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Rows from .. to of x, whose first row is number `at` of all. */
static const tensor *cut(const tensor *x, int64_t at, int64_t from, int64_t to) {
    return from == at && to == at + x->shape[1] ? x : slice_time(x, from - at, to - from);
}

/* --- decoding --- */

typedef struct {
    const oobleck *net;
    oobleck_take *take;
    void *context;
    int64_t samples;
    int64_t rates[OOBLECK_MOST_STAGES + 1]; /* samples a row of what each stage takes */
    int64_t reach[OOBLECK_MOST_STAGES +
                  1]; /* rows of it to each side that samples depend on, by this and all later stages */
} decoding;

/* What `reach` rows after a stage of this stride are before it: its units', and the transposed convolution's own one. */
static int64_t reach_before(int64_t reach, int64_t stride) {
    return divide_up(reach + OOBLECK_UNITS_REACH, stride) + 1;
}

static void find_reaches(decoding *d) {
    enum { LAST_REACH = 3 };
    const oobleck_half *h = &oobleck_sizes(d->net)->decoder;
    d->rates[h->stages] = 1;
    d->reach[h->stages] = LAST_REACH;
    for (int i = h->stages - 1; i >= 0; i--) {
        const int64_t stride = h->strides[h->stages - 1 - i];
        d->rates[i] = d->rates[i + 1] * stride;
        d->reach[i] = reach_before(d->reach[i + 1], stride);
    }
}

/* Samples of a piece: whole latents, and of no more than PIECE_VALUES numbers. */
static int64_t piece_of(const decoding *d, int stage) {
    const oobleck_half *h = &oobleck_sizes(d->net)->decoder;
    const int level = h->stages - 1 - stage;
    const int64_t width = h->channels * (level > 0 ? h->widths[level - 1] : 1),
                  after = stage < h->stages ? stage + 1 : stage,
                  latents = PIECE_VALUES / width * d->rates[after] / d->rates[0];
    return least(most(latents, 1), stage ? FAST_PIECE_MOST : SLOW_PIECE) * d->rates[0];
}

/* Samples lo .. hi from rows x of what stage `stage` takes, its first row number `at`. */
static void decode_from(const decoding *d, int stage, const tensor *x, int64_t at, int64_t lo, int64_t hi) {
    const oobleck_half *h = &oobleck_sizes(d->net)->decoder;
    const int64_t rate = d->rates[stage], piece = piece_of(d, stage);
    for (int64_t begin = lo; begin < hi; begin += piece) {
        const int64_t end = least(begin + piece, hi);
        const int64_t from = most(begin / rate - d->reach[stage], at),
                      to = least(divide_up(end, rate) + d->reach[stage], at + x->shape[1]);
        scope_begin();
        const tensor *part = cut(x, at, from, to);
        if (stage < h->stages) {
            const int64_t stride = h->strides[h->stages - 1 - stage];
            decode_from(d, stage + 1, oobleck_decode_stage(d->net, stage, part), from * stride, begin, end);
        } else {
            const tensor *y = oobleck_decode_last(d->net, part);
            d->take(d->context, begin, cut(y, from, begin, end));
        }
        scope_end();
    }
}

void oobleck_decode_tiles(const oobleck *net, const tensor *z, int64_t samples, oobleck_take take, void *context) {
    require(!recording() && z->rank == 3 && z->shape[0] == 1);
    enum { FIRST_REACH = 3 };
    const int64_t N = z->shape[1], piece = SLOW_PIECE;
    decoding d = {.net = net, .take = take, .context = context, .samples = oobleck_samples(net, N)};
    if (samples && samples < d.samples) d.samples = samples;
    find_reaches(&d);
    const int64_t reach = d.reach[0] + FIRST_REACH;
    for (int64_t first = 0; first * d.rates[0] < d.samples; first += piece) {
        const int64_t from = most(first - reach, 0), to = least(first + piece + reach, N);
        const int64_t end = least((first + piece) * d.rates[0], d.samples);
        scope_begin();
        decode_from(&d, 0, oobleck_decode_first(net, cut(z, 0, from, to)), from, first * d.rates[0], end);
        scope_end();
    }
}

/* --- encoding --- */

typedef struct {
    const oobleck *net;
    const tensor *x;                         /* [1, T, A] */
    int64_t rows[OOBLECK_MOST_STAGES + 1];   /* of what each stage takes; of what the last gives */
    int64_t frames[OOBLECK_MOST_STAGES + 1]; /* rows of it a frame */
} encoding;

static tensor *encoded_rows(const encoding *e, int stage, int64_t first, int64_t last);

/* The same in one piece. */
static tensor *encode_piece(const encoding *e, int stage, int64_t first, int64_t last) {
    enum { FIRST_REACH = 3 };
    scope_begin();
    if (stage == 0) {
        const int64_t from = most(first - FIRST_REACH, 0), to = least(last + FIRST_REACH, e->rows[0]);
        const tensor *y = oobleck_encode_first(e->net, cut(e->x, 0, from, to));
        return scope_end_keep(slice_time(y, first - from, last - first));
    }
    const int64_t stride = oobleck_sizes(e->net)->encoder.strides[stage - 1];
    /* Whole strides, so that the piece's rows are those of the whole. */
    const int64_t before = divide_up(OOBLECK_UNITS_REACH, stride) + 1;
    const int64_t begin = most(first - before, 0), from = begin * stride,
                  to = least((last + before) * stride, e->rows[stage - 1]);
    const tensor *y = oobleck_encode_stage(e->net, stage - 1, encoded_rows(e, stage - 1, from, to));
    return scope_end_keep(slice_time(y, first - begin, last - first));
}

/* Rows first .. last of what `stage` stages give: [1, last - first, C]. */
static tensor *encoded_rows(const encoding *e, int stage, int64_t first, int64_t last) {
    const int stages = oobleck_sizes(e->net)->encoder.stages;
    const int64_t piece = (stage == stages ? SLOW_PIECE : FAST_PIECE) * e->frames[stage];
    if (last - first <= piece) return encode_piece(e, stage, first, last);
    tensor *all = NULL;
    scope_begin();
    for (int64_t begin = first; begin < last; begin += piece) {
        scope_begin();
        tensor *part = encode_piece(e, stage, begin, least(begin + piece, last));
        all = scope_end_keep(all ? concat_time(all, part) : part);
    }
    return scope_end_keep(all);
}

tensor *oobleck_encode_tiles(const oobleck *net, const tensor *x) {
    require(!recording() && x->rank == 3 && x->shape[0] == 1);
    enum { LAST_REACH = 1 };
    const oobleck_half *h = &oobleck_sizes(net)->encoder;
    encoding e = {.net = net, .x = x};
    e.rows[0] = x->shape[1];
    for (int i = 0; i < h->stages; i++) {
        const int64_t stride = h->strides[i], pad = (stride + 1) / 2;
        e.rows[i + 1] = (e.rows[i] + 2 * pad - 2 * stride) / stride + 1;
    }
    e.frames[h->stages] = 1;
    for (int i = h->stages - 1; i >= 0; i--) e.frames[i] = e.frames[i + 1] * h->strides[i];
    const int64_t N = e.rows[h->stages];
    tensor *z = NULL;
    scope_begin();
    for (int64_t first = 0; first < N; first += SLOW_PIECE) {
        const int64_t last = least(first + SLOW_PIECE, N), from = most(first - LAST_REACH, 0),
                      to = least(last + LAST_REACH, N);
        scope_begin();
        const tensor *y = oobleck_encode_last(net, encoded_rows(&e, h->stages, from, to));
        tensor *part = slice_time(y, first - from, last - first);
        z = scope_end_keep(z ? concat_time(z, part) : part);
    }
    return scope_end_keep(z);
}
