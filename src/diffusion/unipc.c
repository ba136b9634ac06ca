/* UniPC (Zhao et al. 2023, arXiv 2302.04867), predicting x0, B(h) = e^h - 1: each step's start is corrected with the output
 * there, then the next state is predicted from the last outputs. */
#include <math.h>

#include "diffusion/walk.h"

enum { MOST = 3 };

/* Weights r of sum_j r[j] rho[j]^i = b[i], by elimination; the rho differ. */
static void solve(int n, const double *rho, const double *b, double *r) {
    double a[MOST][MOST + 1];
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) a[i][j] = pow(rho[j], i);
        a[i][n] = b[i];
    }
    for (int p = 0; p < n; p++)
        for (int i = p + 1; i < n; i++) {
            double f = a[i][p] / a[p][p];
            for (int j = p; j <= n; j++) a[i][j] -= f * a[p][j];
        }
    for (int i = n - 1; i >= 0; i--) {
        r[i] = a[i][n];
        for (int j = i + 1; j < n; j++) r[i] -= a[i][j] * r[j];
        r[i] /= a[i][i];
    }
}

/* From state x at sigmas[0] to `to`; outputs at sigmas[0], sigmas[-1], ... are m[0], m[1], ...; ahead: the output at `to`, for
 * the corrector, or NULL. In the clean signal the steps are those of -h. */
static void unified(const walk *w, tensor *out, const tensor *x, const double *sigmas, double to, const tensor *ahead,
                    int order) {
    double h = fall(sigmas[0], to), hh = w->of_noise ? h : -h, size = w->of_noise ? -to : -1, grow = expm1(hh),
           phi = grow / hh - 1, B = w->s->options.plain ? hh : grow, rho[MOST] = {0}, b[MOST] = {0}, r[MOST] = {0};
    for (int i = 1; i < order; i++) rho[i - 1] = -fall(sigmas[-i], sigmas[0]) / h;
    rho[order - 1] = 1;
    for (int i = 0, factorial = 1; i < order; i++) {
        b[i] = phi * factorial / B;
        factorial *= i + 2;
        phi = phi / hh - 1.0 / factorial;
    }
    int used = ahead ? order : order - 1;
    if (ahead ? order == 1 : order == 2) r[0] = 0.5;
    else if (used > 0) solve(used, rho, b, r);
    double value = to > 0 || !w->of_noise ? size * grow : -sigmas[0];
    term terms[MOST + 2] = {{w->of_noise ? 1 : to / sigmas[0], x}, {value, w->old[0]}};
    for (int i = 0; i < used; i++) {
        const tensor *other = ahead && i == order - 1 ? ahead : w->old[i + 1];
        double c = size * B * r[i] / rho[i];
        terms[1].factor -= c;
        terms[i + 2] = (term){c, other};
    }
    add_terms(out, terms, used + 2);
}

static bool corrects(const walk *w) {
    return w->step > 0 && !(w->step <= 64 && w->s->options.uncorrected >> (w->step - 1) & 1);
}

void step_unipc(walk *w) {
    tensor *x = w->x, *m = predicted(w, x, w->sigma);
    const double *sigmas = w->s->sigmas + w->step;
    if (corrects(w)) unified(w, x, w->start, sigmas - 1, w->sigma, m, w->order);
    remember(w, m);
    MIX(w->start, {1, x});
    w->kept--; /* this output itself is counted by order_now */
    w->order = order_now(w);
    w->kept++;
    if (w->order > MOST) w->order = MOST;
    unified(w, x, x, sigmas, w->next, NULL, w->order);
}
