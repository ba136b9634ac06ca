/* DiffWave: see diffwave.h. Names are those of lmnt's checkpoints. C residual channels, E embedding width. */
#include "models/diffwave.h"

#include <math.h>
#include <string.h>

#include "models/diffwave_fused.h"
#include "models/upsample_mel.h"
#include "tensor/device.h"

enum { TABLE_WIDTH = 128, UPSAMPLE_KERNEL = 32, MOST_LAYERS = 1000 };
static const float UPSAMPLE_SLOPE = 0.4f;

typedef struct {
    affine step;
    diffwave_layer inside;
} layer;

struct diffwave {
    diffwave_config sizes;
    affine input, embed[2], upsample[2], skip, output;
    const tensor *classes; /* [classes + 1, E], the last row is "none" */
    layer *layers;
    tensor *table;
};

/* --- configuration --- */

diffwave_config diffwave_default(void) {
    return (diffwave_config){
        .layers = 30, .channels = 64, .cycle = 10, .embedding = 512, .mels = 80, .classes = 0, .steps = 50};
}

static int64_t class_count(config c) {
    if (!config_has(c, "classes")) return 0;
    config list = config_get(c, "classes");
    return json_is_array(list.value) ? (int64_t) config_count(list) : config_int(c, "classes", 0, 0, 100000);
}

diffwave_config diffwave_config_read(config c) {
    diffwave_config d = diffwave_default(), r;
    r.layers = config_int(c, "residual_layers", d.layers, 1, MOST_LAYERS);
    r.channels = config_int(c, "residual_channels", d.channels, 1, 4096);
    r.cycle = config_int(c, "dilation_cycle_length", d.cycle, 1, 20);
    r.embedding = config_int(c, "embedding_hidden", d.embedding, 1, 65536);
    r.mels = config_bool(c, "unconditional", false) ? 0 : config_int(c, "n_mels", d.mels, 0, 1024);
    r.classes = class_count(c);
    size_t betas;
    diffwave_betas(c, &betas);
    r.steps = (int64_t) betas;
    return r;
}

double *diffwave_betas(config c, size_t *n) {
    double *betas = config_numbers(c, "noise_schedule", 100000, n);
    if (*n) return betas;
    *n = (size_t) diffwave_default().steps;
    betas = NEW_ARRAY(double, *n);
    for (size_t i = 0; i < *n; i++) betas[i] = 1e-4 + (0.05 - 1e-4) * (double) i / (double) (*n - 1);
    return betas;
}

void diffwave_config_fit(diffwave_config *c, const store *s) {
    c->channels = store_dimension(s, "input_projection.weight", 0, c->channels);
    c->embedding = store_dimension(s, "diffusion_embedding.projection1.weight", 0, c->embedding);
    c->mels = store_dimension(s, "residual_layers.0.conditioner_projection.weight", 1, 0);
    c->classes = store_dimension(s, "class_embedding.weight", 0, 1) - 1;
    int64_t layers = 0;
    while (layers < MOST_LAYERS &&
           store_find(s, format("residual_layers.%lld.dilated_conv.weight", (long long) layers)))
        layers++;
    if (layers) c->layers = layers;
}

/* --- binding --- */

static affine bind_kaiming(binder *b, const char *name, int64_t out, int64_t in, int64_t kernel) {
    return bind_conv(b, name, out, in, kernel, INIT_KAIMING_NORMAL, false);
}

static void bind_layer(layer *l, const diffwave_config *c, binder *b, int64_t index) {
    bind_push(b, "residual_layers.%lld", (long long) index);
    l->inside.dilation = 1 << (index % c->cycle);
    l->inside.dilated = bind_kaiming(b, "dilated_conv", 2 * c->channels, c->channels, 3);
    l->step = bind_linear(b, "diffusion_projection", c->channels, c->embedding);
    if (c->mels) l->inside.mel = bind_kaiming(b, "conditioner_projection", 2 * c->channels, c->mels, 1);
    l->inside.output = bind_kaiming(b, "output_projection", 2 * c->channels, c->channels, 1);
    bind_pop(b);
}

diffwave *diffwave_bind(const diffwave_config *c, binder *b) {
    diffwave *net = NEW(diffwave);
    net->sizes = *c;
    net->table = diffwave_table(c->steps);
    net->layers = NEW_ARRAY(layer, c->layers);
    net->input = bind_kaiming(b, "input_projection", c->channels, 1, 1);
    bind_push(b, "diffusion_embedding");
    bind_ignore(b, "embedding"); /* the table, in some old files */
    net->embed[0] = bind_linear(b, "projection1", c->embedding, TABLE_WIDTH);
    net->embed[1] = bind_linear(b, "projection2", c->embedding, c->embedding);
    bind_pop(b);
    if (c->classes)
        net->classes =
            bind(b, "class_embedding.weight", SHAPE(c->classes + 1, c->embedding), (init){INIT_NORMAL, 0, 0});
    for (int i = 0; c->mels && i < 2; i++)
        net->upsample[i] = bind_affine(b, format("spectrogram_upsampler.conv%d", i + 1),
                                       SHAPE(1, 1, 3, UPSAMPLE_KERNEL), (init){INIT_TORCH_UNIFORM, 0, 0}, false);
    for (int64_t i = 0; i < c->layers; i++) bind_layer(&net->layers[i], c, b, i);
    net->skip = bind_kaiming(b, "skip_projection", c->channels, c->channels, 1);
    net->output = bind_conv(b, "output_projection", 1, c->channels, 1, INIT_ZERO, false);
    return net;
}

const diffwave_config *diffwave_sizes(const diffwave *net) { return &net->sizes; }

int64_t diffwave_halo(const diffwave *net) {
    int64_t halo = net->sizes.mels ? 2 * DIFFWAVE_HOP : 0; /* the upsampler reaches a frame and a bit */
    for (int64_t i = 0; i < net->sizes.layers; i++) halo += net->layers[i].inside.dilation;
    return halo;
}

/* --- forward --- */

/* Row s: sin(s f_k), k = 0 .. 63, then cos; f_k = 10^(4 k / 63), every stage rounded to f32 as the original does. */
tensor *diffwave_table(int64_t steps) {
    tensor *table = tensor_new(F32, SHAPE(steps, TABLE_WIDTH));
    for (int64_t s = 0; s < steps; s++)
        for (int k = 0; k < TABLE_WIDTH / 2; k++) {
            float exponent = (float) k * 4.0f / 63.0f, frequency = (float) pow(10.0, exponent);
            float phase = (float) s * frequency;
            f32(table)[s * TABLE_WIDTH + k] = (float) sin(phase);
            f32(table)[s * TABLE_WIDTH + TABLE_WIDTH / 2 + k] = (float) cos(phase);
        }
    return table;
}

/* Rows of the table at fractional steps: [B, 128]. */
static tensor *look_up(const tensor *table, const float *step, int64_t B) {
    tensor *rows = tensor_new(F32, SHAPE(B, TABLE_WIDTH));
    for (int64_t b = 0; b < B; b++) {
        if (!(step[b] >= 0 && step[b] <= (float) (table->shape[0] - 1)))
            fail(HISS_ERROR_ARGUMENT, "the diffusion step %g is outside 0 .. %lld", step[b],
                 (long long) table->shape[0] - 1);
        int64_t low = (int64_t) floorf(step[b]), high = (int64_t) ceilf(step[b]);
        float part = step[b] - (float) low;
        const float *from = f32(table) + low * TABLE_WIDTH, *to = f32(table) + high * TABLE_WIDTH;
        for (int k = 0; k < TABLE_WIDTH; k++) f32(rows)[b * TABLE_WIDTH + k] = from[k] + (to[k] - from[k]) * part;
    }
    return rows;
}

tensor *diffwave_embed(const diffwave *net, const float *step, int64_t batch) {
    tensor *e = look_up(net->table, step, batch);
    for (int i = 0; i < 2; i++) e = silu(apply_linear(net->embed[i], e), F32);
    return e; /* [B, E] */
}

static tensor *add_classes(const diffwave *net, tensor *e, const int32_t *classes) {
    int64_t B = e->shape[0];
    int32_t *rows = NEW_ARRAY(int32_t, B);
    for (int64_t b = 0; b < B; b++) {
        bool none = !classes || classes[b] < 0;
        if (!none && classes[b] >= net->sizes.classes)
            fail(HISS_ERROR_ARGUMENT, "class %d: the model has %lld classes", classes[b],
                 (long long) net->sizes.classes);
        rows[b] = none ? (int32_t) net->sizes.classes : classes[b];
    }
    return add(e, embedding(net->classes, rows, B), F32);
}

tensor *diffwave_upsample(const diffwave *net, const tensor *mel, dtype out) {
    tensor *first = upsample_mel(mel, net->upsample[0].weight, net->upsample[0].bias, UPSAMPLE_SLOPE, F32);
    return upsample_mel(first, net->upsample[1].weight, net->upsample[1].bias, UPSAMPLE_SLOPE, out);
}

/* x and skip (NULL at first) are replaced. e [B, E]. */
static void residual_layer(const layer *l, const tensor *e, const tensor *mel, tensor **x, tensor **skip, bool last) {
    tensor *x_before = *x, *skip_before = *skip;
    scope_begin();
    diffwave_state s =
        diffwave_layer_forward(&l->inside, apply_linear(l->step, e), mel, (diffwave_state){*x, *skip}, last);
    *skip = s.skip;
    if (last) SCOPE_END_KEEP(skip);
    else {
        *x = s.x;
        SCOPE_END_KEEP(x, skip);
    }
    tensor_release(x_before);
    tensor_forget(skip_before);
}

/* The sum of all layers' skips. */
static tensor *residual_layers(const diffwave *net, const tensor *e, const tensor *mel, tensor *x) {
    const int64_t layers = net->sizes.layers;
    tensor *skip = NULL;
    if (device_current() || recording() || !diffwave_fuses()) {
        for (int64_t i = 0; i < layers; i++) residual_layer(&net->layers[i], e, mel, &x, &skip, i + 1 == layers);
        return skip;
    }
    scope_begin();
    diffwave_layer *inside = NEW_ARRAY(diffwave_layer, layers);
    const tensor **d = NEW_ARRAY(const tensor *, layers);
    for (int64_t i = 0; i < layers; i++) {
        inside[i] = net->layers[i].inside;
        d[i] = apply_linear(net->layers[i].step, e);
    }
    skip = diffwave_fused_layers(inside, layers, d, mel, x);
    skip = scope_end_keep(skip);
    tensor_release(x);
    return skip;
}

tensor *diffwave_forward(const diffwave *net, const tensor *audio, const float *step, const tensor *mel,
                         const int32_t *classes) {
    int64_t B = audio->shape[0], T = audio->shape[1], layers = net->sizes.layers;
    if (!net->sizes.mels != !mel)
        fail(HISS_ERROR_ARGUMENT,
             mel ? "this DiffWave takes no mel spectrogram" : "this DiffWave needs a mel spectrogram");
    dtype op = operands();
    scope_begin();
    tensor *e = diffwave_embed(net, step, B);
    if (net->classes) e = add_classes(net, e, classes);
    tensor *condition = mel ? diffwave_upsample(net, mel, op) : NULL;
    require(!condition || condition->shape[1] == T);
    tensor *x = relu(apply_conv(net->input, reshape(audio, SHAPE(B, T, 1)), 1, F32), F32); /* [B, T, C] */
    tensor *skip = residual_layers(net, e, condition, x);
    skip = scale(skip, (float) (1 / sqrt((double) layers)), op);
    skip = relu(apply_conv(net->skip, skip, 1, F32), op);
    tensor *noise = apply_conv(net->output, skip, 1, F32); /* [B, T, 1] */
    noise->rank = 2;
    return scope_end_keep(noise);
}
