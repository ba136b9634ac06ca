/* Scenes: as JSON and as words; whatever can be read can be arranged within bounds, and placed in words. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "scene/arrange.h"
#include "scene/tell.h"
#include "scene/words.h"

typedef struct {
    const char *text; /* ends with 0 */
    size_t size;
    bool words;
} input;

static void check(const scene *s) {
    const score r = arrange(s);
    require(s->layer_count >= 1 && s->layer_count <= SCENE_MAX_LAYERS && r.count <= SCENE_MAX_EVENTS);
    for (size_t i = 0; i < r.count; i++) {
        const cue *c = &r.cues[i];
        require(c->layer < s->layer_count && c->take >= 0 && c->take < s->layers[c->layer].takes);
        require(c->seconds >= 0 && c->seconds < s->seconds && c->length >= 0 && c->length <= s->seconds);
        require(fabs(c->pan) <= 1 && c->distance >= 0 && c->distance <= 10000 && fabs(c->gain) <= 120);
        require(i == 0 || r.cues[i - 1].seconds <= c->seconds);
        if (i < 100) require(place_words(c->pan, c->distance));
    }
}

static void read(void *argument) {
    const input *in = argument;
    check(in->words ? scene_from_words(in->text) : scene_parse(in->text, in->size, "fuzz", "folder"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scope_begin();
    char *text = alloc_zero(size + 1, 1);
    if (size) memcpy(text, data, size);
    for (int words = 0; words < 2; words++) {
        input in = {text, size, words};
        hiss_error error;
        if (!try_run(read, &in, &error) && (error.code == HISS_ERROR_INTERNAL || !error.message[0])) __builtin_trap();
    }
    scope_end();
    return 0;
}
