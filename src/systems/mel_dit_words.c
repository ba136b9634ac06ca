#include "systems/mel_dit_words.h"

#include <math.h>

#include "models/mel_dit.h"
#include "systems/prompt.h"

text_encoder *mel_dit_encoder(const model *m) { return prompt_encoder(m, mel_dit_sizes(m->network)->text); }

const tensor *mel_dit_text_rows(const tensor *unit) { return handle_rows(unit, sqrtf((float) unit->shape[1]), NULL); }

/* A class is as near as the nearest of its name and the words for it. */
int32_t mel_dit_class_like(const model *m, const char *text, int32_t nearest[NEAREST_CLASSES]) {
    static const float LEAST = 0.6f; /* cosine below which words do not mean the same */
    float cosines[NEAREST_CLASSES];
    int n = 0;
    scope_begin();
    const text_encoder *e = mel_dit_encoder(m);
    const tensor *wanted = text_embed(e, &text, 1);
    for (int32_t c = 0; m->classes && c < m->class_count; c++) {
        const float cosine = prompt_class_cosine(m, e, c, wanted);
        int at = n < NEAREST_CLASSES ? n++ : n;
        for (; at > 0 && cosines[at - 1] < cosine; at--)
            if (at < NEAREST_CLASSES) cosines[at] = cosines[at - 1], nearest[at] = nearest[at - 1];
        if (at < NEAREST_CLASSES) cosines[at] = cosine, nearest[at] = c;
    }
    scope_end();
    for (int i = n; i < NEAREST_CLASSES; i++) nearest[i] = -1;
    return n && cosines[0] > LEAST ? nearest[0] : -1;
}

int32_t mel_dit_class_said(const model *m, const tensor *text) {
    static const double SURE = 0.4; /* probability; measured: docs/sound.md */
    if (!mel_dit_sizes(m->network)->reads) return -1;
    scope_begin();
    const int64_t K = mel_dit_sizes(m->network)->classes;
    const float *logits = f32(mel_dit_read(m->network, text));
    int32_t best = 0;
    double sum = 0;
    for (int32_t k = 1; k < K; k++)
        if (logits[k] > logits[best]) best = k;
    for (int64_t k = 0; k < K; k++) sum += exp((double) logits[k] - logits[best]);
    scope_end();
    return 1 / sum >= SURE ? best : -1;
}

double mel_dit_usual_seconds(const model *m, const sound_request *r) {
    static const double SHORTEST = 0.25, WHOLE = 2.5; /* what lasts that long goes on, or may as well */
    const char *text = r->prompt ? r->prompt : r->class >= 0 && m->classes ? m->classes[r->class] : NULL;
    if (!text || !mel_dit_sizes(m->network)->reads) return 0;
    prompt_check("prompt", text);
    scope_begin();
    const tensor *said = mel_dit_read(m->network, mel_dit_text_rows(text_embed(mel_dit_encoder(m), &text, 1)));
    const double seconds = exp(f32(said)[mel_dit_sizes(m->network)->classes]);
    scope_end();
    return seconds < WHOLE ? fmax(round(seconds * 10) / 10, SHORTEST) : (double) m->length / m->rate;
}
