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
 * the corrector, or NULL. */
static void unified(tensor *out, const tensor *x, const double *sigmas, double to, tensor *const *m,
                    const tensor *ahead, int order) {
    double h = log(sigmas[0] / to), gain = -expm1(-h), rho[MOST] = {0}, b[MOST] = {0}, r[MOST] = {0},
           phi = gain / h - 1;
    for (int i = 1; i < order; i++) rho[i - 1] = log(sigmas[0] / sigmas[-i]) / h;
    rho[order - 1] = 1;
    for (int i = 0, factorial = 1; i < order; i++) {
        b[i] = -phi * factorial / gain;
        factorial *= i + 2;
        phi = -phi / h - 1.0 / factorial;
    }
    int used = ahead ? order : order - 1;
    if (ahead ? order == 1 : order == 2) r[0] = 0.5;
    else if (used > 0) solve(used, rho, b, r);
    term terms[MOST + 2] = {{to / sigmas[0], x}, {gain, m[0]}};
    for (int i = 0; i < used; i++) {
        const tensor *other = ahead && i == order - 1 ? ahead : m[i + 1];
        double c = gain * r[i] / rho[i];
        terms[1].factor -= c;
        terms[i + 2] = (term){c, other};
    }
    add_terms(out, terms, used + 2);
}

void step_unipc(walk *w) {
    tensor *x = w->x, *x0 = denoised(w, x, w->sigma);
    const double *sigmas = w->s->sigmas + w->step;
    if (w->step > 0) unified(x, w->start, sigmas - 1, w->sigma, w->old, x0, w->order);
    remember(w, x0);
    MIX(w->start, {1, x});
    int64_t left = w->s->steps - w->step;
    w->order = w->s->options.order ? w->s->options.order : 2;
    if (w->order > MOST) w->order = MOST;
    if (w->order > left) w->order = (int) left;
    if (w->order > w->kept) w->order = w->kept;
    unified(x, x, sigmas, w->next, w->old, NULL, w->order);
}
