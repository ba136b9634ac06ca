/* What the shipped sound model reads of words: the classes of prompts that are worded as no caption is, and how long sounds last. Left
 * out where models/sound or models/text are not there. */
#include "shipped.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "systems/generate.h"
#include "systems/mel_dit_words.h"
#include "systems/shipped.h"

static const model *few_steps, *whole;

static void open_all(void *unused) {
    (void) unused;
    shipped_model("text");
    shipped_model("vocoder");
    whole = model_open(shipped_model("sound"));
    few_steps = model_open(shipped_model("sound-few-step"));
    scope_end_merge();
    scope_begin();
}

static const tensor *rows_of(const model *m, const char *text) {
    return mel_dit_text_rows(text_embed(mel_dit_encoder(m), &text, 1));
}

/* Every third of the prompts that the model card is made of, as both networks read them. */
static void test_classes(void **state) {
    (void) state;
    scope_begin();
    const bytes list = file_read(SOURCE_FOLDER "/recipes/prompts.tsv", 1 << 20);
    size_t n, cells;
    char **lines = split(format("%.*s", (int) list.size, (const char *) list.data), '\n', &n);
    const model *const all[2] = {whole, few_steps};
    int asked = 0, right[2] = {0}, wrong[2] = {0};
    for (size_t i = 1; i < n && *lines[i]; i += 3, asked++) {
        char **cell = split(lines[i], '\t', &cells);
        const tensor *rows = rows_of(whole, cell[0]);
        for (int k = 0; k < 2; k++) {
            const int32_t said = mel_dit_class_said(all[k], rows);
            const bool same = said >= 0 && !strcmp(all[k]->classes[said], cell[1]);
            right[k] += same;
            wrong[k] += said >= 0 && !same;
        }
    }
    print_message("of %d prompts the class is read of %d and %d, wrongly of %d and %d\n", asked, right[0], right[1],
                  wrong[0], wrong[1]);
    assert_int_equal(asked, 34);
    for (int k = 0; k < 2; k++) assert_true(right[k] >= 29 && wrong[k] <= 3);
    scope_end();
}

static double seconds_of(const char *prompt) {
    sound_request r = sound_request_for(few_steps);
    r.prompt = prompt;
    request_settle(few_steps, &r);
    return r.seconds;
}

static void test_lengths(void **state) {
    (void) state;
    scope_begin();
    const double kick = seconds_of("a punchy kick drum"), door = seconds_of("a door slamming shut"),
                 rain = seconds_of("heavy rain on a roof");
    print_message("a kick drum lasts %.2f s, a door %.2f s, rain %.2f s\n", kick, door, rain);
    assert_true(kick > 0.1 && kick < 1.6 && door < 2 && rain > 5);
    sound_request r = sound_request_for(few_steps);
    r.prompt = "a punchy kick drum", r.seconds = 3;
    request_settle(few_steps, &r);
    assert_true(r.seconds == 3); /* what is asked for stays */
    r.prompt = NULL, r.class = model_class(few_steps, "kick"), r.seconds = 0;
    request_settle(few_steps, &r);
    assert_true(r.seconds < 2);
    scope_end();
}

static void keep(void *context, int64_t i, const audio *sound) {
    (void) i;
    audio *to = context;
    assert_int_equal(sound->frames, to->frames);
    memcpy(to->samples, sound->samples, (size_t) sound->frames * sizeof(float));
}

static const audio *hear(const char *prompt, const char *class) {
    sound_request r = sound_request_for(few_steps);
    r.prompt = prompt, r.class = class ? model_class(few_steps, class) : -1;
    r.seconds = 0.4, r.steps = 1;
    audio *to = audio_new(request_samples(few_steps, &r), 1, few_steps->rate);
    generate_sounds(few_steps, &r, keep, to);
    return to;
}

/* A prompt alone is asked for with the class that is read of it; a class that is named takes its place, "any" takes it away. */
static void test_prompt_asks_class(void **state) {
    (void) state;
    scope_begin();
    const audio *alone = hear("a punchy kick drum", NULL), *named = hear("a punchy kick drum", "kick"),
                *other = hear("a punchy kick drum", "organ"), *none = hear("a punchy kick drum", "any");
    const size_t size = (size_t) alone->frames * sizeof(float);
    assert_memory_equal(alone->samples, named->samples, size);
    assert_memory_not_equal(alone->samples, other->samples, size);
    assert_memory_not_equal(alone->samples, none->samples, size);
    scope_end();
}

int main(void) {
    if (!opened(open_all)) return 0;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes), cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_prompt_asks_class)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
