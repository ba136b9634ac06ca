/* Steps that use this level's output alone, in the form of k-diffusion: x = x0 + sigma n, dx / dsigma = n = (x - x0) / sigma. */
#include <math.h>

#include "diffusion/walk.h"

/* x0 held constant. */
static void euler(tensor *out, const tensor *x, const tensor *x0, double from, double to) {
    double keep = to / from;
    MIX(out, {keep, x}, {1 - keep, x0});
}

/* Karras' churn of a state at a level: noise added to reach a higher one, which is returned. Drawn on every step where it is
 * asked for at all, used or not, as the original does. */
static double churned(walk *w, double level) {
    const sampler_options *o = &w->s->options;
    if (o->churn <= 0) return level;
    bool inside = level >= o->low && (o->high <= 0 || level <= o->high);
    double gamma = inside ? fmin(o->churn / (double) w->s->steps, M_SQRT2 - 1) : 0, hat = level * (1 + gamma);
    tensor *z = like(w->x);
    w->s->noise.draw(w->s->noise.context, level, hat, f32(z), count(z));
    if (gamma > 0) MIX(w->x, {1, w->x}, {w->noise * sqrt(hat * hat - level * level), z});
    return hat;
}

void step_euler(walk *w) {
    double hat = churned(w, w->sigma);
    euler(w->x, w->x, denoised(w, w->x, hat), hat, w->next);
}

void step_euler_ancestral(walk *w) {
    ancestral a = ancestral_levels(w->sigma, w->next, w->eta);
    euler(w->x, w->x, denoised(w, w->x, w->sigma), w->sigma, a.down);
    add_noise_between(w, w->x, w->sigma, w->next, a.up);
}

/* The same with the noise as it is believed: it need not be what is left beside the clean signal (clipping, CFG++). */
void step_ddim(walk *w) {
    ancestral a = ancestral_levels(w->sigma, w->next, w->eta);
    estimate e = estimated(w, w->x, w->sigma);
    MIX(w->x, {1, e.clean}, {a.down, e.noise});
    add_noise_between(w, w->x, w->sigma, w->next, a.up);
}

/* The upper bound of the posterior's variance is beta, here over the next alpha_bar. */
void step_ddpm(walk *w) {
    ancestral a = ancestral_levels(w->sigma, w->next, w->eta);
    double s = w->sigma * w->sigma, t = w->next * w->next;
    euler(w->x, w->x, denoised(w, w->x, w->sigma), w->sigma, a.down);
    if (w->s->options.wide && w->next > 0) a.up = sqrt((s - t) * (1 + t) / (1 + s));
    add_noise_between(w, w->x, w->sigma, w->next, a.up);
}

/* To the clean signal and back up with fresh noise. */
void step_ping_pong(walk *w) {
    double floor = w->s->options.floor;
    MIX(w->x, {1, denoised(w, w->x, w->sigma)});
    add_noise_between(w, w->x, w->sigma, w->next, sqrt(fmax(w->next * w->next - floor * floor, 0)));
}

/* To a level below the next along the noise believed, then back up: eta (the paper's gamma) 1 is ping-pong, 0 is DDIM. */
void step_tcd(walk *w) {
    double down = w->s->between ? w->s->between[w->step] : (1 - w->eta) * w->next;
    estimate e = estimated(w, w->x, w->sigma);
    MIX(w->x, {1, e.clean}, {down, e.noise});
    add_noise_between(w, w->x, w->sigma, w->next, sqrt(fmax(w->next * w->next - down * down, 0)));
}

/* --- slopes in a process' own time: y = a x, dy / dt = a' x0 + b' n --- */

/* exploding: n; straight: n - x0; rotating: v */
static tensor *slope(walk *w, tensor *y, double time) {
    process kind = w->slopes;
    double sigma = sigma_at(kind, time);
    mixing at = mixing_at(kind, sigma);
    tensor *x = like(y);
    MIX(x, {sigma >= NO_SIGNAL ? NO_SIGNAL : 1 / at.a, y});
    estimate e = estimated(w, x, sigma);
    if (w->touched) MIX(y, {sigma >= NO_SIGNAL ? 1 / NO_SIGNAL : at.a, x});
    w->touched = false;
    static const objective OF[] = {PREDICT_NOISE, PREDICT_V, PREDICT_FLOW};
    return prediction_of(OF[kind], at, e);
}

static void rescale(tensor *x, double factor) {
    if (factor != 1) MIX(x, {factor, x});
}

void step_heun(walk *w) {
    process kind = w->slopes;
    tensor *y = w->x, *ahead = like(y);
    rescale(y, state_scale(kind, w->sigma));
    double from = churned(w, time_of(kind, w->sigma)), to = time_of(kind, w->next), h = to - from;
    tensor *first = slope(w, y, from);
    MIX(ahead, {1, y}, {h, first});
    if (w->next == 0) MIX(y, {1, ahead});
    else MIX(y, {1, y}, {h / 2, first}, {h / 2, slope(w, ahead, to)});
    rescale(y, 1 / state_scale(kind, w->next));
}

void step_rk4(walk *w) {
    process kind = w->slopes;
    double from = time_of(kind, w->sigma), to = time_of(kind, w->next), h = to - from;
    tensor *y = w->x, *at = like(y);
    rescale(y, state_scale(kind, w->sigma));
    tensor *k1 = slope(w, y, from);
    MIX(at, {1, y}, {h / 2, k1});
    tensor *k2 = slope(w, at, from + h / 2);
    MIX(at, {1, y}, {h / 2, k2});
    tensor *k3 = slope(w, at, from + h / 2);
    MIX(at, {1, y}, {h, k3});
    tensor *k4 = slope(w, at, to);
    MIX(y, {1, y}, {h / 6, k1}, {h / 3, k2}, {h / 3, k3}, {h / 6, k4});
    rescale(y, 1 / state_scale(kind, w->next));
}

/* --- two calls a step --- */

/* To `to` by the slope at the geometric mean. */
static void middle_slope(walk *w, double from, double to) {
    tensor *x = w->x, *half = like(x), *x0 = denoised(w, x, from);
    if (to == 0) {
        euler(x, x, x0, from, 0);
        return;
    }
    double middle = sqrt(from * to), slope = (to - from) / middle;
    euler(half, x, x0, from, middle);
    MIX(x, {1, x}, {slope, half}, {-slope, denoised(w, half, middle)});
}

void step_dpm_2(walk *w) {
    double hat = churned(w, w->sigma);
    middle_slope(w, hat, w->next);
}

void step_dpm_2_ancestral(walk *w) {
    ancestral a = ancestral_levels(w->sigma, w->next, w->eta);
    middle_slope(w, w->sigma, a.down);
    add_noise_between(w, w->x, w->sigma, w->next, a.up);
}

void step_dpmpp_2s_ancestral(walk *w) {
    tensor *x = w->x, *half = like(x), *x0 = denoised(w, x, w->sigma);
    ancestral a = ancestral_levels(w->sigma, w->next, w->eta);
    if (a.down == 0) {
        euler(x, x, x0, w->sigma, 0);
    } else {
        double middle = sqrt(w->sigma * a.down);
        euler(half, x, x0, w->sigma, middle);
        euler(x, x, denoised(w, half, middle), w->sigma, a.down);
    }
    add_noise_between(w, x, w->sigma, w->next, a.up);
}

void step_dpmpp_sde(walk *w) {
    tensor *x = w->x, *half = like(x), *x0 = denoised(w, x, w->sigma);
    if (w->next == 0) {
        euler(x, x, x0, w->sigma, 0);
        return;
    }
    double r = w->s->options.middle > 0 ? w->s->options.middle : 0.5, share = 1 / (2 * r);
    double middle = w->sigma * pow(w->next / w->sigma, r);
    ancestral a = ancestral_levels(w->sigma, middle, w->eta), b = ancestral_levels(w->sigma, w->next, w->eta);
    euler(half, x, x0, w->sigma, a.down);
    add_noise_between(w, half, w->sigma, middle, a.up);
    tensor *x1 = denoised(w, half, middle);
    double keep = b.down / w->sigma;
    MIX(x, {keep, x}, {(1 - keep) * (1 - share), x0}, {(1 - keep) * share, x1});
    add_noise_between(w, x, w->sigma, w->next, b.up);
}
