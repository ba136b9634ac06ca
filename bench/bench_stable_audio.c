/* Stable Audio Open with random weights: a pass of each diffusion transformer, decoding and encoding, memory of long sounds. */
#include <string.h>

#include "base/json.h"
#include "bench.h"
#include "models/oobleck.h"
#include "models/stable_dit.h"

/* Counted from the originals: a pass over all latents of the window; a second of stereo, decoded or encoded. */
static const double SMALL_GFLOP = 164, LARGE_GFLOP = 2272, OOBLECK_GFLOP = 108.5;
enum { RATE = 44100, HOP = 2048, LATENT = 64 };

static const char SMALL[] =
    "{\"io_channels\":64,\"embed_dim\":1024,\"depth\":16,\"num_heads\":8,\"cond_token_dim\":768,"
    "\"global_cond_dim\":768,\"transformer_type\":\"continuous_transformer\","
    "\"attn_kwargs\":{\"qk_norm\":\"ln\"}}",
                  LARGE[] =
                      "{\"io_channels\":64,\"embed_dim\":1536,\"depth\":24,\"num_heads\":24,\"cond_token_dim\":768,"
                      "\"global_cond_dim\":1536,\"project_cond_tokens\":false,"
                      "\"transformer_type\":\"continuous_transformer\"}";

static tensor *noise(shape s) {
    tensor *t = tensor_new(F32, s);
    memcpy(t->data, random_floats(count(t), 1), tensor_bytes(t));
    return t;
}

typedef struct {
    const stable_dit *net;
    const tensor *x;
    stable_dit_condition condition;
    int64_t batch;
} pass;

static void run_pass(void *context) {
    const pass *p = context;
    static const float T[] = {0.5f, 0.5f};
    scope_begin();
    stable_dit_forward(p->net, p->x, T, &p->condition);
    scope_end();
}

static void bench_dit(const char *name, const char *settings, int64_t batch, int64_t latents, int64_t tokens,
                      double gflop) {
    scope_begin();
    const stable_dit_config c = stable_dit_config_read(config_parse(settings, strlen(settings), "bench"));
    binder *b = binder_new((random_key){1, 5});
    const stable_dit *net = stable_dit_bind(&c, b);
    binder_finish(b, true);
    pass p = {.net = net, .x = noise(SHAPE(batch, latents, LATENT)), .batch = batch};
    p.condition.context = stable_dit_attend_to(net, noise(SHAPE(batch, tokens, c.tokens)));
    p.condition.global = noise(SHAPE(batch, c.global));
    measure(name, gflop * (double) batch, run_pass, &p);
    scope_end();
}

typedef struct {
    const oobleck *net;
    int64_t latents;
    bool encodes;
} coding;

static void drop(void *context, int64_t first, const tensor *samples) { (void) context, (void) first, (void) samples; }

static void run_coding(void *context) {
    const coding *k = context;
    scope_begin();
    if (k->encodes) oobleck_encode_tiles(k->net, noise(SHAPE(1, k->latents * HOP, 2)));
    else oobleck_decode_tiles(k->net, noise(SHAPE(1, k->latents, LATENT)), 0, drop, NULL);
    scope_end();
}

static void bench_oobleck(void) {
    static const char NONE[] = "{}";
    scope_begin();
    const oobleck_config c = oobleck_config_read_diffusers(config_parse(NONE, 2, "bench"));
    binder *b = binder_new((random_key){1, 6});
    coding k = {oobleck_bind(&c, b, OOBLECK_BOTH, false), 256, false};
    binder_finish(b, true);
    const double seconds = (double) k.latents * HOP / RATE;
    measure_once("Oobleck, decode 11.9 s of stereo", OOBLECK_GFLOP * seconds, run_coding, &k);
    k.encodes = true;
    measure_once("Oobleck, encode 11.9 s of stereo", OOBLECK_GFLOP * seconds, run_coding, &k);
    scope_end();
}

void bench_stable_audio(void) {
    bench_dit("Stable Audio Open Small, a pass (256 latents)", SMALL, 1, 256, 65, SMALL_GFLOP);
    if (!coarse_products()) bench_oobleck();
}

void bench_stable_audio_large(void) {
    bench_dit("Stable Audio Open 1.0, a guided step (2 x 1024 latents)", LARGE, 2, 1024, 130, LARGE_GFLOP);
}
