/* Configurations of networks, and recipes: whatever parses, each reader gives sizes within its bounds or a clear error. */
#include "fuzz_file.h"

#include "base/json.h"
#include "models/bert.h"
#include "models/clap_text.h"
#include "models/diffwave.h"
#include "models/discriminator.h"
#include "models/generator.h"
#include "models/gpt2.h"
#include "models/judge.h"
#include "models/mel_dit.h"
#include "models/oobleck.h"
#include "models/stable_dit.h"
#include "models/t5.h"
#include "models/vocoder.h"
#include "models/wave_unet.h"
#include "models/wavegrad.h"
#include "train/recipe.h"

static const uint8_t NO_TENSORS[] = {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'};

static void diffwave_of(config c) { require(diffwave_config_read(c).layers > 0); }
static void wavegrad_of(config c) { wavegrad_config_read(c); }
static void wave_unet_of(config c) { wave_unet_config_read(c); }
static void mel_dit_of(config c) { require(mel_dit_config_read(c).width > 0); }
static void judge_of(config c) { judge_config_read(c); }
static void vocoder_of(config c) { require(vocoder_config_read(c).channels > 0); }
static void bert_of(config c) { require(bert_config_read(c).layers > 0); }
static void clap_of(config c) { clap_text_config_read(c); }
static void t5_of(config c) { t5_config_read(c); }
static void gpt2_of(config c) { gpt2_config_read(c); }
static void oobleck_of(config c) { require(oobleck_config_read(c).ratio > 0); }
static void diffusers_of(config c) { require(oobleck_config_read_diffusers(c).ratio > 0); }
static void stable_dit_of(config c) { stable_dit_config_read(c); }
static void discriminator_of(config c) { discriminator_config_read(c, 2); }
static void generator_of(config c) {
    const generator_config r =
        generator_config_read(c, store_open_memory(NO_TENSORS, sizeof NO_TENSORS, "none", false));
    require(generator_hop(&r) > 0 && generator_halo(&r) > 0 && generator_samples(&r, 10) > 0);
}

static void (*const READERS[])(config) = {
    diffwave_of, wavegrad_of, wave_unet_of, mel_dit_of,   judge_of,      vocoder_of,       bert_of,     clap_of,
    t5_of,       gpt2_of,     oobleck_of,   diffusers_of, stable_dit_of, discriminator_of, generator_of};

typedef struct {
    const uint8_t *data;
    size_t size, reader;
} input;

static void read_network(void *argument) {
    const input *in = argument;
    READERS[in->reader](config_parse((const char *) in->data, in->size, "fuzz"));
}

static void read_recipe(void *path) { require(recipe_load(path, NULL, false, NULL)->steps >= 0); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < sizeof READERS / sizeof *READERS; i++) fuzz_try(read_network, &(input){data, size, i});
    fuzz_try_file(read_recipe, ".json", data, size);
    return 0;
}
