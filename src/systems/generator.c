/* HiFi-GAN and BigVGAN as systems. Both sing in windows of frames with all the frames around them that they depend on. */
#include "models/generator.h"

#include <string.h>

#include "base/progress.h"
#include "systems/rows.h"

enum { WINDOW = 64 /* frames */ };

static void open(model *m, const store *s, binder *b) {
    const generator_config c = generator_config_read(m->settings, s);
    m->network = generator_bind(&c, b);
    m->rate = (int) config_int(m->settings, "sampling_rate", m->rate, 1000, 768000);
    m->hop = generator_hop(&c);
    m->mels = c.mels;
}

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void sing(const model *m, uint64_t seed, const tensor *mel, float *samples) {
    (void) seed; /* nothing is drawn */
    const int64_t F = mel->shape[0], M = mel->shape[1], halo = generator_halo(generator_sizes(m->network));
    for (int64_t begin = 0; begin < F; begin += WINDOW) {
        const int64_t end = least(begin + WINDOW, F), first = most(begin - halo, 0), last = least(end + halo, F);
        scope_begin();
        const tensor *part = tensor_wrap(F32, SHAPE(1, last - first, M), f32(mel) + first * M);
        const tensor *y = generator_forward(m->network, part);
        const int64_t from = (begin - first) * m->hop, n = least((end - begin) * m->hop, count(y) - from);
        memset(samples + begin * m->hop, 0, (size_t) ((end - begin) * m->hop) * sizeof(float));
        memcpy(samples + begin * m->hop, f32(y) + from, (size_t) n * sizeof(float));
        scope_end();
        progress("singing", end, F);
    }
}

static bool is_bigvgan(const store *s) { return store_find(s, "activation_post.act.alpha") != NULL; }

static bool is_hifigan(const store *s) {
    static const char *const NAMES[] = {"conv_pre.weight", "conv_pre.weight_v",
                                        "conv_pre.parametrizations.weight.original1"};
    bool found = false;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) found |= store_find(s, NAMES[i]) != NULL;
    return found && !is_bigvgan(s);
}

const system_row SYSTEM_HIFIGAN = {
    .name = "hifigan",
    .paper = "Kong et al. 2020, arXiv 2010.05646",
    .front = "hifigan",
    .holds = is_hifigan,
    .open = open,
    .sing = sing,
};

const system_row SYSTEM_BIGVGAN = {
    .name = "bigvgan",
    .paper = "Lee et al. 2023, arXiv 2206.04658",
    .front = "hiss",
    .holds = is_bigvgan,
    .open = open,
    .sing = sing,
};
