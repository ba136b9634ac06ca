/* See prompt.h. E numbers of a text, K classes. */
#include "systems/prompt.h"

#include <math.h>
#include <string.h>

#include "systems/shipped.h"
#include "text/musical.h"

enum { LONGEST = 8192, FEW_CLASSES = 10 /* too few to be near to all that is English */ };

void prompt_check(const char *what, const char *text) {
    size_t length = strlen(text);
    if (strspn(text, " \t\r\n") == length)
        fail(HISS_ERROR_ARGUMENT, "the %s is empty: say what to make, or leave it out", what);
    if (length > LONGEST)
        fail(HISS_ERROR_ARGUMENT,
             "the %s has %zu characters; at most %d are taken, and its first 256 words or parts of words are heard",
             what, length, LONGEST);
}

text_encoder *prompt_encoder(const model *m, int64_t width) {
    text_encoder *e = text_encoder_open(shipped_model("text"));
    if (text_encoder_width(e) != width)
        fail(HISS_ERROR_FORMAT, "%s: follows texts of %lld numbers, the model 'text' gives %lld", m->path,
             (long long) width, (long long) text_encoder_width(e));
    return e;
}

static float dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double) a[i] * b[i];
    return (float) sum;
}

const tensor *prompt_between(const text_encoder *e, const char *text, const char *second, double part) {
    if (!second) return text_embed(e, &text, 1);
    const int64_t E = text_encoder_width(e);
    tensor *two = text_embed(e, (const char *const[]){text, second}, 2), *one = tensor_new(F32, SHAPE(1, E));
    const float *a = f32(two), *b = a + E;
    const double angle = acos(fmin(fmax(dot(a, b, E), -1), 1)), whole = sin(angle);
    const double left = whole > 1e-6 ? sin((1 - part) * angle) / whole : 1 - part,
                 right = whole > 1e-6 ? sin(part * angle) / whole : part;
    for (int64_t i = 0; i < E; i++) f32(one)[i] = (float) (left * a[i] + right * b[i]);
    return one;
}

int32_t prompt_class(const model *m, const text_encoder *e, const char *text, float *cosine) {
    int32_t best = -1;
    scope_begin();
    const int64_t K = m->class_count, E = text_encoder_width(e);
    const float *all = f32(text_embed(e, (const char *const *) m->classes, K)), *wanted = f32(text_embed(e, &text, 1));
    *cosine = -1;
    for (int64_t k = 0; k < K; k++) {
        const float near = dot(all + k * E, wanted, E);
        if (near > *cosine) *cosine = near, best = (int32_t) k;
    }
    scope_end();
    return best;
}

float prompt_class_cosine(const model *m, const text_encoder *e, int32_t c, const tensor *wanted) {
    scope_begin();
    const char **words;
    const int64_t n = (int64_t) model_class_words(m, c, &words), E = text_encoder_width(e);
    const char **all = NEW_ARRAY(const char *, n + 1);
    all[0] = m->classes[c];
    for (int64_t i = 0; i < n; i++) all[i + 1] = words[i];
    const float *vectors = f32(text_embed(e, all, n + 1));
    float best = -1;
    for (int64_t i = 0; i <= n; i++) best = fmaxf(best, dot(vectors + i * E, f32(wanted), E));
    scope_end();
    return best;
}

const char *prompt_with_music(const char *prompt, double bpm, int key) {
    if (!prompt) return NULL;
    const music_request said = music_asked(prompt);
    if (key >= 0 && said.key.tonic < 0) prompt = format("%s in %s", prompt, key_name(key_of_number(key)));
    if (bpm > 0 && !(said.bpm > 0)) prompt = format("%s at %g BPM", prompt, bpm);
    return prompt;
}

/* --- other languages --- */

static size_t words_of(const char *text) {
    size_t n = 0;
    for (const char *c = text; *c; c++) n += *c != ' ' && (c == text || c[-1] == ' ');
    return n;
}

/* What the cosine to the nearest class must reach for a text to count as understood; -1: it needs not. English falls into few
 * pieces; names of instruments into many, but those are near to a class. Tried on 31 prompts in ten languages. */
static float needed_cosine(const text_encoder *e, const char *text) {
    const double pieces_a_word = (double) text_pieces(e, text) / (double) words_of(text);
    for (const char *c = text; *c; c++)
        if ((unsigned char) *c >= 0x80) return 0.35f;
    return pieces_a_word >= 1.5 ? 0.3f : -1;
}

/* Of a long text its first characters. */
static const char *beginning(const char *text) {
    enum { MOST = 60 };
    size_t n = strlen(text);
    if (n <= MOST) return text;
    for (n = MOST; n > 0 && ((unsigned char) text[n] & 0xC0) == 0x80;) n--;
    return format("%.*s...", (int) n, text);
}

void prompt_note_language(const model *m, const text_encoder *e, const char *text) {
    const float needed = needed_cosine(e, text);
    float cosine;
    if (needed < 0 || !m->classes || m->class_count < FEW_CLASSES) return;
    prompt_class(m, e, text, &cosine);
    if (cosine < needed) warn("\"%s\": few of these words are known; the model knows English", beginning(text));
}
