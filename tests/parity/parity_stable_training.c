/* Training steps of stable-audio-tools' diffusion transformers and autoencoders: the loss and all gradients, those of the conditioners
 * too. In f32
 * whatever the precision asked for, as the gradients of other systems. */
#include <math.h>
#include <string.h>

#include "models/discriminator.h"
#include "models/oobleck.h"
#include "models/spectral_loss.h"
#include "models/stable_condition.h"
#include "models/stable_dit.h"
#include "parity_stable_model.h"
#include "signal/a_weighting.h"
#include "tensor/ops.h"

typedef struct {
    parity_case *c;
    stable_dit *dit;
    stable_conditioner *conditioner;
    params *parameters;
    config diffusion;
    process process;
    int64_t B;
} step;

static void open_step(step *s) {
    const config part = config_get(parity_config(s->c), "model");
    s->diffusion = config_get(part, "diffusion");
    stable_dit_config sizes = stable_dit_config_read(config_get(s->diffusion, "config"));
    const bool v = !strcmp(config_string(s->diffusion, "diffusion_objective", "v"), "v");
    sizes.predicts = v ? PREDICT_V : PREDICT_FLOW;
    s->process = v ? PROCESS_ROTATING : PROCESS_STRAIGHT;
    const stable_conditions known = stable_conditions_read(config_get(part, "conditioning"));
    binder *b = binder_load(parity_checkpoint(s->c));
    bind_push(b, "model.model");
    s->dit = stable_dit_bind(&sizes, b);
    bind_pop(b);
    bind_push(b, "conditioner");
    s->conditioner = stable_conditioner_bind(&known, b);
    bind_pop(b);
    s->parameters = binder_finish(b, true);
}

/* Rows mixed each at its own time, and the target that belongs to them: [B, N, L]. */
static void mix_rows(const step *s, const tensor *clean, const tensor *noise, const float *t, tensor *noisy,
                     tensor *target) {
    const int64_t n = count(clean) / s->B;
    const objective of = stable_dit_sizes(s->dit)->predicts;
    for (int64_t i = 0; i < s->B; i++) {
        const double angle = t[i] * M_PI / 2;
        const mixing at = s->process == PROCESS_ROTATING ? (mixing){cos(angle), sin(angle)} : (mixing){1 - t[i], t[i]};
        const shape one = SHAPE(1, n);
        const tensor *x = tensor_wrap(F32, one, f32(clean) + i * n), *e = tensor_wrap(F32, one, f32(noise) + i * n);
        memcpy(f32(noisy) + i * n, mix(at, x, e)->data, (size_t) n * sizeof(float));
        memcpy(f32(target) + i * n, target_of(of, at, x, e)->data, (size_t) n * sizeof(float));
    }
}

/* Conditions of a list of ids: tokens one after another, or a vector. */
static const tensor *conditions_of(const step *s, const char *list, bool vector) {
    const config ids = config_get(s->diffusion, list), inputs = config_get(parity_info(s->c), "inputs");
    const int64_t W = stable_conditioner_sizes(s->conditioner)->width;
    const tensor *all = NULL;
    for (size_t i = 0; i < config_count(ids); i++) {
        const char *id = json_string_value(config_at(ids, i).value);
        const tensor *rows;
        if (!strcmp(id, "prompt")) {
            rows = parity_in_f32(s->c, "prompt");
        } else {
            size_t n;
            const double *values = config_numbers(config_get(inputs, id), "value", 64, &n);
            rows = stable_embed_numbers(
                s->conditioner, stable_condition_find(stable_conditioner_sizes(s->conditioner), id), values, s->B);
            if (vector) rows = reshape(rows, SHAPE(s->B, W));
        }
        all = !all ? rows : vector ? concat_channels(all, rows) : concat_time(all, rows);
    }
    return all;
}

/* All tokens of rows that are dropped are zeros. */
static const tensor *with_dropped(const step *s, const tensor *tokens) {
    const tensor *drop = tensor_to_f32(parity_in(s->c, "drop"));
    const int64_t each = count(tokens) / s->B;
    tensor *kept = tensor_new(F32, shape_of(tokens));
    for (int64_t i = 0; i < count(kept); i++) f32(kept)[i] = 1 - f32(drop)[i / each];
    return multiply(tokens, kept, F32);
}

static void run_dit_training(parity_case *c) {
    step s = {.c = c};
    open_step(&s);
    const tensor *clean = swap_last_two(parity_in_f32(c, "latents")), *noise = swap_last_two(parity_in_f32(c, "noise"));
    const float *t = f32(parity_in_f32(c, "t"));
    s.B = clean->shape[0];
    tensor *noisy = tensor_new(F32, shape_of(clean)), *target = tensor_new(F32, shape_of(clean));
    mix_rows(&s, clean, noise, t, noisy, target);
    params_zero_grad(s.parameters);
    scope_begin();
    tape_begin();
    const tensor *tokens = with_dropped(&s, conditions_of(&s, "cross_attention_cond_ids", false));
    const stable_dit_condition k = {.context = stable_dit_attend_to(s.dit, tokens),
                                    .global = conditions_of(&s, "global_cond_ids", true)};
    const tensor *loss = mse_loss(stable_dit_forward(s.dit, noisy, t, &k), target);
    parity_out(c, "loss", loss);
    backward(loss, 1);
    for (size_t i = 0; i < s.parameters->count; i++) {
        const param *p = s.parameters->items[i];
        const char *name = format("grad.%s", p->name);
        if (parity_has_out(c, name)) parity_out(c, name, tensor_wrap(F32, shape_of(p->value), p->grad));
    }
    scope_end();
}

/* --- the autoencoder --- */

static const oobleck *open_learning(parity_case *c, params **all) {
    const oobleck_config sizes = oobleck_config_read(config_get(parity_config(c), "model"));
    binder *b = binder_load(parity_checkpoint(c));
    const oobleck *net = oobleck_bind(&sizes, b, OOBLECK_BOTH, true);
    *all = binder_finish(b, true);
    return net;
}

static spectral_losses losses_of(parity_case *c) {
    const config own = config_get(config_get(config_get(parity_config(c), "loss_configs"), "spectral"), "config");
    size_t n;
    const double *sizes = config_numbers(own, "fft_sizes", 16, &n), *hops = config_numbers(own, "hop_sizes", 16, &n),
                 *windows = config_numbers(own, "win_lengths", 16, &n);
    stft_shape *shapes = NEW_ARRAY(stft_shape, n);
    for (size_t i = 0; i < n; i++)
        shapes[i] = (stft_shape){(int) sizes[i], (int) windows[i], (int) hops[i], STFT_CENTRED, false};
    return (spectral_losses){shapes, (int) n, (float) config_number(own, "eps", 1e-8, 0, 1), 44100};
}

/* The loss alone, of sounds given. */
static void out_loss(parity_case *c, const spectral_losses *l) {
    tensor *x = swap_last_two(parity_in_f32(c, "x")), *y = swap_last_two(parity_in_f32(c, "y"));
    spectral_losses published = *l;
    scope_begin();
    tape_begin();
    tape_watch(x);
    tape_watch(y);
    backward(sum_and_difference_loss(x, y, l), 1);
    parity_out(c, "xy_grad_x", swap_last_two(tensor_from(tape_gradient(x), shape_of(x))));
    parity_out(c, "xy_grad_y", swap_last_two(tensor_from(tape_gradient(y), shape_of(y))));
    scope_end();
    published.eps = 1e-8f;
    parity_out(c, "fir", tensor_from(a_weighting_taps(l->rate), SHAPE(A_WEIGHTING_TAPS)));
    parity_out(c, "xy_loss", sum_and_difference_loss(x, y, l));
    parity_out(c, "xy_loss_published_eps", sum_and_difference_loss(x, y, &published));
    tensor *terms = tensor_new(F32, SHAPE(l->count, 2, 2));
    for (int i = 0; i < l->count; i++)
        for (int apart = 0; apart < 2; apart++) {
            double two[2];
            sum_and_difference_terms(x, y, apart, &l->shapes[i], &published, two);
            for (int k = 0; k < 2; k++) f32(terms)[(i * 2 + apart) * 2 + k] = (float) two[k];
        }
    parity_out(c, "xy_terms", terms);
}

static void run_oobleck_training(parity_case *c) {
    static const float KL_WEIGHT = 1e-4f;
    params *all;
    const oobleck *net = open_learning(c, &all);
    const spectral_losses l = losses_of(c);
    const tensor *reals = swap_last_two(parity_in_f32(c, "reals")), *noise = swap_last_two(parity_in_f32(c, "noise"));
    out_loss(c, &l);
    params_zero_grad(all);
    scope_begin();
    tape_begin();
    const tensor *encoded = oobleck_encode(net, reals), *y = oobleck_decode(net, draw_latents(encoded, noise));
    const tensor *both = sum_and_difference_loss(reals, y, &l), *left = scale(channel_loss(reals, y, 0, &l), 0.5f, F32),
                 *right = scale(channel_loss(reals, y, 1, &l), 0.5f, F32),
                 *kl = scale(divergence(encoded), KL_WEIGHT, F32);
    const tensor *loss = add(add(both, left, F32), add(right, kl, F32), F32);
    parity_out(c, "mrstft_loss", both);
    parity_out(c, "stft_loss_left", left);
    parity_out(c, "stft_loss_right", right);
    parity_out(c, "kl_loss", kl);
    parity_out(c, "loss", loss);
    backward(loss, 1);
    for (size_t i = 0; i < all->count; i++) {
        const param *p = all->items[i];
        const char *name = format("grad.%s", p->name);
        if (parity_has_out(c, name)) parity_out(c, name, tensor_wrap(F32, shape_of(p->value), p->grad));
    }
    scope_end();
}

/* --- the discriminator --- */

static tensor *judged(const discriminator *d, const tensor *reals, const tensor *made) {
    const judgement j = discriminator_judge(d, reals, made);
    return add(scale(j.adversarial, 0.1f, F32), scale(j.features, 5, F32), F32);
}

void run_discriminator(parity_case *c) {
    const precision asked = operands() == BF16 ? PRECISION_BF16 : PRECISION_F32;
    precision_set(PRECISION_F32);
    discriminator_config sizes =
        discriminator_config_read(parity_config(c), config_int(parity_info(c), "channels", 2, 1, 64));
    binder *b = binder_load(parity_checkpoint(c));
    const discriminator *d = discriminator_bind(&sizes, b);
    params *all = binder_finish(b, true);
    tensor *reals = swap_last_two(parity_in_f32(c, "reals")), *made = swap_last_two(parity_in_f32(c, "made"));
    params_zero_grad(all);
    scope_begin();
    tape_begin();
    const tensor *loss = discriminator_loss(d, reals, made);
    parity_out(c, "loss", loss);
    backward(loss, 1);
    for (size_t i = 0; i < all->count; i++) {
        const param *p = all->items[i];
        parity_out(c, format("grad.%s", p->name), tensor_wrap(F32, shape_of(p->value), p->grad));
    }
    scope_end();
    const judgement j = discriminator_judge(d, reals, made);
    parity_out(c, "adversarial", j.adversarial);
    parity_out(c, "features", j.features);
    sizes.relative = true;
    binder *again = binder_load(parity_checkpoint(c));
    parity_out(c, "relative_features", discriminator_judge(discriminator_bind(&sizes, again), reals, made).features);
    scope_begin();
    tape_begin();
    tape_watch(made);
    backward(judged(d, reals, made), 1);
    parity_out(c, "made_grad", swap_last_two(tensor_from(tape_gradient(made), shape_of(made))));
    scope_end();
    precision_set(asked);
}

void run_stable_training(parity_case *c) {
    const precision asked = operands() == BF16 ? PRECISION_BF16 : PRECISION_F32;
    precision_set(PRECISION_F32);
    if (config_has(parity_config(c), "loss_configs")) run_oobleck_training(c);
    else run_dit_training(c);
    precision_set(asked);
}
