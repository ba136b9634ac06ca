/* WaveGrad: see wavegrad.h. Names are those of lmnt's checkpoints.
 *
 * Two identities save work without changing the result: a 1x1 convolution of repeated (or picked) rows is the repetition
 * (the pick) of the 1x1 convolution. */
#include "models/wavegrad.h"

#include <math.h>

#include "models/wavegrad_stage.h"

enum { STAGES = WAVEGRAD_STAGES };
static const float SLOPE = WAVEGRAD_SLOPE;

typedef struct {
    affine residual, conv[3];
    int factor;
} down_block;

struct wavegrad {
    wavegrad_config sizes;
    affine down_first, mel_first, last;
    down_block down[STAGES]; /* from 1 on */
    wavegrad_film film[STAGES];
    wavegrad_up up[STAGES];
};

/* --- configuration --- */

wavegrad_config wavegrad_default(void) {
    return (wavegrad_config){
        .mels = 128,
        .first = 768,
        .down = {32, 128, 128, 256, 512},
        .up = {512, 512, 256, 128, 128},
        .down_factors = {1, 2, 2, 3, 5},
        .up_factors = {5, 5, 3, 2, 2},
        .dilations = {{1, 2, 1, 2}, {1, 2, 1, 2}, {1, 2, 4, 8}, {1, 2, 4, 8}, {1, 2, 4, 8}},
    };
}

/* An integer of a JSON list under key; lists of another length are an error. */
static int64_t list_item(config c, const char *key, size_t length, size_t index, int64_t otherwise, int64_t high) {
    size_t n;
    double *values = config_numbers(c, key, length, &n);
    if (!n) return otherwise;
    if (n != length || !(values[index] >= 1 && values[index] <= (double) high))
        fail(HISS_ERROR_FORMAT, "%s: %s must hold %zu integers of 1 to %lld", c.where, key, length, (long long) high);
    return (int64_t) values[index];
}

static void read_dilations(config c, wavegrad_config *r) {
    if (!config_has(c, "up_dilations")) return;
    config rows = config_get(c, "up_dilations");
    if (config_count(rows) != STAGES) fail(HISS_ERROR_FORMAT, "%s: up_dilations must hold 5 lists", c.where);
    for (size_t i = 0; i < STAGES; i++)
        for (size_t k = 0; k < 4; k++) {
            const json_t *row = json_array_get(rows.value, i), *v = json_array_get(row, k);
            if (json_array_size(row) != 4 || !json_is_integer(v) || json_integer_value(v) < 1 ||
                json_integer_value(v) > 512)
                fail(HISS_ERROR_FORMAT, "%s: up_dilations must hold lists of 4 integers of 1 to 512", c.where);
            r->dilations[i][k] = (int) json_integer_value(v);
        }
}

wavegrad_config wavegrad_config_read(config c) {
    enum { WIDEST = 16384 };
    wavegrad_config r = wavegrad_default();
    r.mels = config_int(c, "mel_channels", r.mels, 1, 1024);
    r.first = config_int(c, "first_channels", r.first, 1, WIDEST);
    for (size_t i = 0; i < STAGES; i++) {
        r.down[i] = list_item(c, "down_channels", STAGES, i, r.down[i], WIDEST);
        r.up[i] = list_item(c, "up_channels", STAGES, i, r.up[i], WIDEST);
        r.up_factors[i] = (int) list_item(c, "up_factors", STAGES, i, r.up_factors[i], 64);
        if (i) r.down_factors[i] = (int) list_item(c, "down_factors", STAGES - 1, i - 1, r.down_factors[i], 64);
    }
    read_dilations(c, &r);
    for (int i = 1; i < STAGES; i++)
        if (r.down_factors[i] != r.up_factors[STAGES - i])
            fail(HISS_ERROR_FORMAT, "%s: down_factors must be up_factors in reverse, without the first", c.where);
    return r;
}

void wavegrad_config_fit(wavegrad_config *c, const store *s) {
    c->mels = store_dimension(s, "first_conv.weight", 1, c->mels);
    c->first = store_dimension(s, "first_conv.weight", 0, c->first);
    c->down[0] = store_dimension(s, "downsample.0.weight", 0, c->down[0]);
    for (int i = 0; i < STAGES; i++) {
        if (i) c->down[i] = store_dimension(s, format("downsample.%d.residual_dense.weight", i), 0, c->down[i]);
        c->up[i] = store_dimension(s, format("upsample.%d.block1.weight", i), 0, c->up[i]);
    }
}

double *wavegrad_betas(config c, size_t *n) {
    double *betas = config_numbers(c, "noise_schedule", 100000, n);
    if (*n) return betas;
    double *line = config_numbers(c, "noise_schedule_linspace", 3, n), published[3] = {1e-6, 0.01, 1000};
    if (!*n) line = published;
    else if (*n != 3 || !(line[2] >= 1 && line[2] <= 100000))
        fail(HISS_ERROR_FORMAT, "%s: noise_schedule_linspace must be [first, last, count]", c.where);
    *n = (size_t) line[2];
    betas = NEW_ARRAY(double, *n);
    for (size_t i = 0; i < *n; i++)
        betas[i] = *n == 1 ? line[0] : line[0] + (line[1] - line[0]) * (double) i / (double) (*n - 1);
    return betas;
}

/* --- binding --- */

static affine bind_orthogonal(binder *b, const char *name, int64_t out, int64_t in, int64_t kernel) {
    return bind_conv(b, name, out, in, kernel, INIT_ORTHOGONAL, true);
}

static void bind_down(wavegrad *net, const wavegrad_config *c, binder *b) {
    net->down_first = bind_orthogonal(b, "downsample.0", c->down[0], 1, 5);
    for (int i = 1; i < STAGES; i++) {
        down_block *d = &net->down[i];
        d->factor = c->down_factors[i];
        bind_push(b, "downsample.%d", i);
        d->residual = bind_orthogonal(b, "residual_dense", c->down[i], c->down[i - 1], 1);
        for (int k = 0; k < 3; k++)
            d->conv[k] = bind_orthogonal(b, format("conv.%d", k), c->down[i], k ? c->down[i] : c->down[i - 1], 3);
        bind_pop(b);
    }
}

static void bind_up(wavegrad_up *u, int i, const wavegrad_config *c, binder *b) {
    int64_t in = i ? c->up[i - 1] : c->first, out = c->up[i];
    u->factor = c->up_factors[i];
    bind_push(b, "upsample.%d", i);
    u->residual = bind_orthogonal(b, "block1", out, in, 1);
    for (int k = 0; k < 4; k++)
        u->conv[k] = bind_orthogonal(b, format("block%d.%d", 2 + k / 2, k % 2), out, k ? out : in, 3);
    bind_pop(b);
}

wavegrad *wavegrad_bind(const wavegrad_config *c, binder *b) {
    wavegrad *net = NEW(wavegrad);
    net->sizes = *c;
    bind_down(net, c, b);
    for (int i = 0; i < STAGES; i++) {
        bind_push(b, "film.%d", i);
        net->film[i].input = bind_conv(b, "input_conv", c->down[i], c->down[i], 3, INIT_XAVIER_UNIFORM, true);
        net->film[i].output =
            bind_conv(b, "output_conv", 2 * c->up[STAGES - 1 - i], c->down[i], 3, INIT_XAVIER_UNIFORM, true);
        bind_pop(b);
    }
    for (int i = 0; i < STAGES; i++) {
        bind_up(&net->up[i], i, c, b);
        net->up[i].dilations = net->sizes.dilations[i];
    }
    net->mel_first = bind_orthogonal(b, "first_conv", c->first, c->mels, 3);
    net->last = bind_orthogonal(b, "last_conv", 1, c->up[STAGES - 1], 3);
    return net;
}

const wavegrad_config *wavegrad_sizes(const wavegrad *net) { return &net->sizes; }

int64_t wavegrad_hop(const wavegrad_config *c) {
    int64_t hop = 1;
    for (int i = 0; i < STAGES; i++) hop *= c->up_factors[i];
    return hop;
}

int64_t wavegrad_halo(const wavegrad *net) {
    const wavegrad_config *c = &net->sizes;
    /* Samples a row; first_conv, last_conv, and the part of a frame by which a repeated row begins before. */
    int64_t hop = wavegrad_hop(c), rate = hop, up = hop + 1 + hop - 1;
    for (int i = 0; i < STAGES; i++) {
        rate /= c->up_factors[i];
        for (int k = 0; k < 4; k++) up += rate * c->dilations[i][k];
    }
    int64_t down = 2; /* the kernel of 5 */
    rate = 1;
    for (int i = 0; i < STAGES; i++) {
        rate *= c->down_factors[i];
        down += rate * (i ? 1 + 2 + 4 : 0);
    }
    down += 2 * rate; /* FiLM's two convolutions, at the lowest rate */
    return (up + down + hop - 1) / hop * hop;
}

/* --- forward --- */

/* x [B, T, C] -> [B, T / factor, C']. */
static tensor *down_forward(const down_block *d, const tensor *x) {
    dtype op = operands();
    const tensor *picked = pick_time(x, d->factor);
    tensor *main = leaky_relu(picked, SLOPE, op);
    for (int k = 0; k < 3; k++) {
        main = apply_conv(d->conv[k], main, 1 << k, F32);
        if (k < 2) main = leaky_relu(main, SLOPE, op);
    }
    return add(main, apply_conv(d->residual, picked, 1, F32), F32);
}

/* Ends a stage's scope; a trace needs everything that was computed. */
static tensor *finish(tensor *result, const wavegrad_trace *trace) {
    if (!trace) return scope_end_keep(result);
    scope_end_merge();
    return result;
}

tensor *wavegrad_forward(const wavegrad *net, const tensor *audio, const tensor *mel, const float *level,
                         wavegrad_trace *trace) {
    int64_t B = audio->shape[0], T = audio->shape[1];
    require(mel->shape[1] * wavegrad_hop(&net->sizes) == T);
    scope_begin();
    tensor *down[STAGES];
    down[0] = apply_conv(net->down_first, reshape(audio, SHAPE(B, T, 1)), 1, F32);
    for (int i = 1; i < STAGES; i++) {
        scope_begin();
        down[i] = finish(down_forward(&net->down[i], down[i - 1]), trace);
    }
    tensor *x = apply_conv(net->mel_first, mel, 1, F32);
    for (int i = 0; i < STAGES; i++) {
        int level_of = STAGES - 1 - i;
        tensor *before = x;
        scope_begin();
        tensor *e = wavegrad_encode(level, B, down[level_of]->shape[2]);
        if (recording() || trace) {
            tensor *f = wavegrad_film_forward(&net->film[level_of], down[level_of], e);
            x = wavegrad_up_forward(&net->up[i], x, f);
            if (trace) trace->down[level_of] = down[level_of], trace->film[level_of] = f, trace->up[i] = x;
            if (trace && i == 0) trace->encoding = e;
        } else x = wavegrad_up_tiles(&net->up[i], &net->film[level_of], x, down[level_of], e);
        x = finish(x, trace);
        if (!trace) tensor_release(before), tensor_release(down[level_of]);
    }
    tensor *noise = apply_conv(net->last, x, 1, F32); /* [B, T, 1] */
    noise->rank = 2;
    return finish(noise, trace);
}
