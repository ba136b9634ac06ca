/* Makes models/text from the published all-MiniLM-L6-v2: leaves out rows of the vocabulary, stores matrices in few bits,
 * and measures how far the embeddings move.
 *
 *     make_text_encoder PUBLISHED_FOLDER OUT_FOLDER SENTENCES.txt WORDS ATTENTION FEED_FORWARD
 *
 * The last three say in how many bits (2 to 8) the tables, the matrices of attention and those of the feed-forward part are
 * stored. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/text.h"
#include "store/quantise.h"
#include "systems/text_embed.h"
#include "text/unicode.h"

static const char WORDS[] = "embeddings.word_embeddings.weight";

/* --- vocabulary --- */

/* Latin and common: letters up to Latin Extended-B and what belongs to no script below U+2FFF. */
static bool is_kept(const char *piece) {
    if (starts_with(piece, "[unused")) return false;
    span text = {piece, strlen(piece)};
    for (size_t at = 0; at < text.size;) {
        uint32_t c = read_character(text, &at);
        if (is_letter(c) ? c >= 0x250 : c >= 0x3000) return false;
    }
    return true;
}

typedef struct {
    char **pieces;
    int32_t *ids; /* in the published vocabulary */
    int64_t count;
} kept_words;

static kept_words keep_words(const char *folder) {
    size_t n;
    bytes file = file_read(path_join(folder, "vocab.txt"), 16 << 20);
    char **lines = split((const char *) file.data, '\n', &n);
    kept_words k = {lines, NEW_ARRAY(int32_t, n), 0};
    for (size_t i = 0; i < n; i++) {
        if (!*lines[i] || !is_kept(lines[i])) continue;
        k.ids[k.count] = (int32_t) i;
        k.pieces[k.count++] = lines[i];
    }
    return k;
}

static void write_vocabulary(const kept_words *k, const char *folder) {
    writer *w = writer_open(path_join(folder, "vocab.txt"));
    for (int64_t i = 0; i < k->count; i++) writer_print(w, "%s\n", k->pieces[i]);
    writer_commit(w);
}

static tensor *pick_rows(const tensor *table, const kept_words *k) {
    int64_t width = table->shape[1];
    tensor *picked = tensor_new(F32, SHAPE(k->count, width));
    for (int64_t i = 0; i < k->count; i++)
        memcpy(f32(picked) + i * width, f32(table) + k->ids[i] * width, (size_t) width * sizeof(float));
    return picked;
}

/* --- weights --- */

static int bits_of(const char *name, const int bits[3]) {
    if (starts_with(name, "embeddings.")) return bits[0];
    return strstr(name, ".attention.") ? bits[1] : bits[2];
}

static void write_weights(const char *from, const char *folder, const kept_words *k, const int bits[3]) {
    enum { MOST = 1000 };
    store *s = store_open(from);
    named_tensor items[MOST];
    int each[MOST];
    size_t n = 0;
    for (size_t i = 0; i < store_count(s) && n < MOST; i++) {
        const char *name = store_at(s, i)->name;
        tensor *t = store_read(s, name);
        if (starts_with(name, "pooler.") || t->type != F32) continue;
        if (!strcmp(name, WORDS)) t = pick_rows(t, k);
        each[n] = quantise_worth(t) ? bits_of(name, bits) : 0;
        items[n++] = (named_tensor){name, t};
    }
    json_t *metadata = json_make_object();
    named_tensor *stored = quantise_all(items, &n, each, metadata);
    safetensors_write(path_join(folder, "weights.safetensors"), stored, n, metadata);
}

static void write_config(const char *from, const char *folder, int64_t words) {
    config c = config_load(path_join(from, "config.json"));
    json_t *shorter = json_make_object();
    static const char *const KEYS[] = {"model_type",          "hidden_size",     "num_hidden_layers",
                                       "num_attention_heads", "hidden_act",      "intermediate_size",
                                       "layer_norm_eps",      "type_vocab_size", "max_position_embeddings"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        json_object_set(shorter, KEYS[i], json_object_get(c.value, KEYS[i]));
    json_object_set_new(shorter, "vocab_size", json_integer((json_int_t) words));
    char *text = format("%s\n", json_text(shorter));
    file_write(path_join(folder, "config.json"), text, strlen(text));
}

/* --- measuring --- */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static void measure(const char *from, const char *folder, const char *sentences) {
    size_t n;
    bytes file = file_read(sentences, 1 << 20);
    char **lines = split((const char *) file.data, '\n', &n);
    while (n > 0 && !*lines[n - 1]) n--;
    const char *const *texts = (const char *const *) lines;
    tensor *expected = text_embed(text_encoder_open(from), texts, (int64_t) n);
    double start = seconds();
    text_encoder *e = text_encoder_open(folder);
    double opened = seconds() - start;
    tensor *got = text_embed(e, texts, (int64_t) n);
    double sum = 0, most = 0;
    size_t worst = 0;
    for (size_t i = 0; i < n; i++) {
        double dot = 0;
        for (int64_t k = 0; k < expected->shape[1]; k++)
            dot += (double) f32(expected)[(int64_t) i * expected->shape[1] + k] *
                   f32(got)[(int64_t) i * expected->shape[1] + k];
        sum += 1 - dot;
        if (1 - dot > most) most = 1 - dot, worst = i;
    }
    printf("%zu sentences: cosine distance %.5f in the mean, %.5f at most (\"%s\"); opened in %.3f s\n", n,
           sum / (double) n, most, texts[worst], opened);
}

static void run(void *context) {
    char **words = context;
    int bits[3] = {atoi(words[4]), atoi(words[5]), atoi(words[6])};
    folder_make(words[2]);
    kept_words k = keep_words(words[1]);
    write_vocabulary(&k, words[2]);
    write_config(words[1], words[2], k.count);
    write_weights(words[1], words[2], &k, bits);
    printf("%lld words, weights of %.2f MiB\n", (long long) k.count,
           (double) file_map(path_join(words[2], "weights.safetensors")).size / (1 << 20));
    measure(words[1], words[2], words[3]);
}

int main(int count, char **words) {
    hiss_error error;
    if (count != 7)
        fprintf(stderr, "usage: make_text_encoder PUBLISHED OUT SENTENCES.txt WORDS ATTENTION FEED_FORWARD\n");
    if (count != 7) return 2;
    if (try_run(run, words, &error)) return 0;
    fprintf(stderr, "make_text_encoder: %s\n", error.message);
    return 1;
}
