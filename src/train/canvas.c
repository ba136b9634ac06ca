/* Canvases: see canvas.h. All draws are functions of (key, batch, clip). */
#include "train/canvas.h"

#include <math.h>
#include <string.h>

#include "text/musical.h"

enum { HELD_OUT_CANVAS = 2 }; /* of the list: what all held-out clips are measured on */

/* The clips that go to one length, with the running sum of their weights. */
typedef struct {
    size_t *item, count;
    double *sum;
} shelf;

typedef struct {
    const dataset *data;
    const recordings *list;
    canvas_settings settings;
    const captions *texts;
    double *bpm; /* that each recording's captions name; 0: none */
    int64_t patch, numbers, bands, hop;
    int rate;
    float silence; /* of a band */
    shelf shelves[CANVAS_LENGTHS];
    double batches[CANVAS_LENGTHS]; /* running sum of how often each length is drawn */
} canvases;

/* --- settings --- */

static void read_lengths(config c, canvas_settings *s) {
    size_t n;
    double *frames = config_numbers(c, "frames", CANVAS_LENGTHS, &n);
    if (!n) frames = (double[]){64, 128, 256, 512}, n = 4;
    for (size_t i = 0; i < n; i++) {
        s->frames[s->lengths++] = (int64_t) frames[i];
        bool doubles = i + 1 == n || fmod(frames[n - 1], frames[i]) == 0;
        if (!(frames[i] >= 1 && frames[i] <= 1 << 20) || (i && frames[i] <= frames[i - 1]) || !doubles)
            fail(HISS_ERROR_ARGUMENT, "%s: frames must rise, and each must divide the last", c.where);
    }
}

canvas_settings canvas_settings_read(config recipe, const char *const *handles) {
    static const char *const keys[] = {"frames",      "longer",  "shorten", "real", "balance",
                                       "class_words", "nothing", "off",     NULL};
    config c = config_has(recipe, "canvas") ? config_get(recipe, "canvas") : config_parse("{}", 2, "canvas");
    config_only(c, keys);
    canvas_settings s = {.off = {0.3, 0.3, 0.85, 0.8, 0.3, 0.6}};
    read_lengths(c, &s);
    s.longer = config_number(c, "longer", 0.25, 0, 1);
    s.shorten = config_number(c, "shorten", 0.3, 0, 1);
    s.real = config_number(c, "real", 1.5, 0.001, 1000);
    s.power = config_number(c, "balance", 0.6, 0, 1);
    s.class_words = config_number(c, "class_words", 0.35, 0, 1);
    s.nothing = config_number(c, "nothing", 0.1, 0, 1);
    config off = config_has(c, "off") ? config_get(c, "off") : config_parse("{}", 2, "off");
    const char *known[CANVAS_HANDLES + 1] = {0};
    for (int i = 0; i < CANVAS_HANDLES; i++) known[i] = handles[i];
    config_only(off, known);
    for (int i = 0; i < CANVAS_HANDLES; i++) s.off[i] = config_number(off, handles[i], s.off[i], 0, 1);
    return s;
}

/* --- which clip goes where --- */

static int64_t frames_of(const canvases *c, size_t item) { return dataset_features(c->data, item)->shape[0]; }

static int last_length(const canvases *c) { return c->settings.lengths - 1; }

static int shortest_that_holds(const canvases *c, int64_t frames) {
    int i = 0;
    while (i < last_length(c) && c->settings.frames[i] < frames) i++;
    return i;
}

static void put(canvases *c, int length, size_t item, double weight) {
    shelf *s = &c->shelves[length];
    if (weight <= 0) return;
    require(s->item && s->sum); /* a length of the settings has its shelf */
    s->item[s->count] = item;
    s->sum[s->count] = (s->count ? s->sum[s->count - 1] : 0) + weight;
    s->count++;
}

/* Shares a clip's weight out over the lengths it may be shown at. */
static void place(canvases *c, size_t item, double weight) {
    const canvas_settings *s = &c->settings;
    const sound_file *r = &c->list->items[item];
    int64_t frames = frames_of(c, item);
    int fits = shortest_that_holds(c, frames), last = last_length(c);
    bool rendered = r->kind && !strcmp(r->kind, "rendered");
    double share[CANVAS_LENGTHS] = {0}, shorten = 0;
    if (!rendered && last >= 2 && frames > s->frames[last - 1]) {
        shorten = s->shorten;
        share[last - 1] = share[last - 2] = shorten / 2;
    }
    share[fits] += (1 - shorten) * (fits < last ? 1 - s->longer : 1);
    if (fits < last) share[fits + 1] += (1 - shorten) * s->longer;
    for (int i = 0; i <= last; i++) put(c, i, item, weight * share[i]);
}

static void fill_shelves(canvases *c) {
    size_t n, classes = c->list->class_count;
    const size_t *items = dataset_part(c->data, false, &n);
    double *size = NEW_ARRAY(double, classes + 1);
    for (int i = 0; i < c->settings.lengths; i++)
        c->shelves[i] = (shelf){NEW_ARRAY(size_t, n), 0, NEW_ARRAY(double, n)};
    for (size_t i = 0; i < n; i++) size[c->list->items[items[i]].class_index + 1]++;
    for (size_t i = 0; i < n; i++) {
        const sound_file *r = &c->list->items[items[i]];
        if (!dataset_features(c->data, items[i])) continue;
        bool real = r->kind && !strcmp(r->kind, "real");
        place(c, items[i], pow(size[r->class_index + 1], -c->settings.power) * (real ? c->settings.real : 1));
    }
    /* A batch of short canvases holds more clips: it is drawn the less often. */
    double sum = 0;
    for (int i = 0; i < c->settings.lengths; i++) {
        const shelf *s = &c->shelves[i];
        sum += s->count ? s->sum[s->count - 1] * (double) c->settings.frames[i] : 0;
        c->batches[i] = sum;
    }
    if (!(sum > 0)) fail(HISS_ERROR_ARGUMENT, "none of the recordings fits into cache_mib: raise it");
}

/* The first index whose running sum exceeds u of the whole. */
static size_t pick(const double *sum, size_t n, double u) {
    size_t low = 0, high = n - 1;
    double wanted = u * sum[n - 1];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sum[middle] > wanted) high = middle;
        else low = middle + 1;
    }
    return low;
}

/* --- one clip --- */

enum {
    DRAW_ITEM,
    DRAW_CROP,
    DRAW_LEVEL,
    DRAW_PLACE,
    DRAW_WORDS,
    DRAW_CAPTION,
    DRAW_NOTHING,
    DRAW_OFF,
    DRAWS = DRAW_OFF + CANVAS_HANDLES
};
enum { PURPOSE_BATCH, PURPOSE_CLIP, PURPOSE_NOISE, PURPOSE_HELD_OUT };

static double draw(random_key clip, int what) { return random_uniform(clip, (uint64_t) what); }

/* Frames of canvas i: those of the recording from a random place on, or all of them and silence. */
static void copy_features(const canvases *c, size_t item, double where, batch *b, int64_t canvas) {
    const int64_t frames = b->mel->shape[1];
    float *to = f32(b->mel) + canvas * frames * c->bands;
    const tensor *f = dataset_features(c->data, item);
    int64_t M = c->bands, spare = f->shape[0] - frames,
            first = spare > 0 ? (int64_t) (where * (double) (spare + 1)) : 0;
    int64_t n = f->shape[0] < frames ? f->shape[0] : frames;
    const int16_t *from = (const int16_t *) f->data + first * M;
    for (int64_t i = 0; i < n * M; i++) to[i] = (float) from[i] * (1.0f / FEATURE_UNIT);
    for (int64_t i = n * M; i < frames * M; i++) to[i] = c->silence;
    b->seconds[canvas] = (float) ((double) (n * c->hop) / c->rate);
    b->begin[canvas] = (double) (first * c->hop) / c->rate;
}

/* The row of a caption: one of its alternatives, or words for its class; -1 if there is neither. */
static int32_t choose_text(const canvases *c, size_t item, double words, double which) {
    int32_t class = c->list->items[item].class_index;
    const caption_list *own = &c->texts->of_recording[item], *of_class = class < 0 ? NULL : &c->texts->of_class[class];
    const caption_list *from = !own->count || (of_class && words < c->settings.class_words) ? of_class : own;
    return from && from->count ? from->rows[(size_t) (which * (double) from->count)] : -1;
}

static uint32_t choose_handles(const canvases *c, random_key clip) {
    uint32_t given = 0;
    if (draw(clip, DRAW_NOTHING) < c->settings.nothing) return 0;
    for (int h = 0; h < CANVAS_HANDLES; h++)
        if (draw(clip, DRAW_OFF + h) >= c->settings.off[h]) given |= 1u << h;
    return given;
}

static void set_text(const canvases *c, batch *b, int64_t i, int32_t row) {
    int64_t E = c->texts->vectors->shape[1];
    if (row < 0) b->handles[i] &= ~(1u << HANDLE_TEXT);
    else memcpy(f32(b->text) + i * E, f32(c->texts->vectors) + row * E, (size_t) E * sizeof(float));
}

static batch *canvas_new(const canvases *c, int64_t B, int64_t frames) {
    batch *b = NEW(batch);
    *b = (batch){.size = B,
                 .mel = tensor_new(F32, SHAPE(B, frames, c->bands)),
                 .noise = tensor_new(F32, SHAPE(B, frames / c->patch, c->numbers)),
                 .text = tensor_zero(F32, SHAPE(B, c->texts->vectors->shape[1])),
                 .classes = NEW_ARRAY(int32_t, B),
                 .labels = NEW_ARRAY(int32_t, B),
                 .level = NEW_ARRAY(double, B),
                 .place = NEW_ARRAY(double, B),
                 .seconds = NEW_ARRAY(float, B),
                 .begin = NEW_ARRAY(double, B),
                 .bpm = NEW_ARRAY(double, B),
                 .handles = NEW_ARRAY(uint32_t, B)};
    return b;
}

static void set_tempo(const canvases *c, batch *b, int64_t i, size_t item) {
    b->bpm[i] = c->bpm[item];
    if (!(b->bpm[i] > 0)) b->handles[i] &= ~(1u << HANDLE_TEMPO);
}

enum { MEASURED_WITH = 1 << HANDLE_TEXT | 1 << HANDLE_CLASS | 1 << HANDLE_TEMPO };

static void fill(const canvases *c, batch *b, int64_t i, size_t item, random_key clip, bool training) {
    int64_t wide = b->noise->shape[1] * b->noise->shape[2];
    b->labels[i] = c->list->items[item].class_index;
    b->handles[i] = training ? choose_handles(c, clip) : MEASURED_WITH;
    copy_features(c, item, training ? draw(clip, DRAW_CROP) : 0, b, i);
    random_normal(random_child(clip, PURPOSE_NOISE), 0, f32(b->noise) + i * wide, (size_t) wide);
    b->level[i] = draw(clip, DRAW_LEVEL);
    b->place[i] = draw(clip, DRAW_PLACE);
    set_text(c, b, i,
             training ? choose_text(c, item, draw(clip, DRAW_WORDS), draw(clip, DRAW_CAPTION))
                      : choose_text(c, item, 1, 0));
    b->classes[i] = b->handles[i] & 1u << HANDLE_CLASS ? b->labels[i] : -1;
    set_tempo(c, b, i, item);
}

/* --- batches --- */

static batch *draw_canvases(void *context, random_key key, int64_t index, int64_t size, double class_dropout) {
    const canvases *c = context;
    (void) class_dropout;
    random_key k = random_child(random_child(key, PURPOSE_BATCH), (uint64_t) index);
    size_t length = pick(c->batches, (size_t) c->settings.lengths, random_uniform(k, 0));
    const shelf *s = &c->shelves[length];
    int64_t frames = c->settings.frames[length], B = size * c->settings.frames[last_length(c)] / frames;
    batch *b = canvas_new(c, B, frames);
    for (int64_t i = 0; i < B; i++) {
        random_key clip = random_child(random_child(k, PURPOSE_CLIP), (uint64_t) i);
        fill(c, b, i, s->item[pick(s->sum, s->count, draw(clip, DRAW_ITEM))], clip, true);
    }
    return b;
}

static batch *hold_out_canvases(void *context, random_key key, int64_t first, int64_t size) {
    const canvases *c = context;
    size_t n;
    const size_t *items = dataset_part(c->data, true, &n);
    int64_t all = dataset_held_out_clips(c->data);
    int length = HELD_OUT_CANVAS < c->settings.lengths ? HELD_OUT_CANVAS : last_length(c);
    batch *b = canvas_new(c, size, c->settings.frames[length]);
    for (int64_t i = 0; i < size; i++) {
        int64_t place = first + i;
        size_t item = items[(size_t) ((double) place / (double) all * (double) n) % n]; /* spread over the list */
        random_key clip = random_child(random_child(key, PURPOSE_HELD_OUT), (uint64_t) place);
        for (size_t tried = 0; !dataset_features(c->data, item); tried++) item = items[tried % n];
        fill(c, b, i, item, clip, false);
        b->level[i] = fmod(0.5 + (double) place * 0.6180339887498949, 1); /* even over the levels */
    }
    return b;
}

batch_source canvas_source(const dataset *d, const canvas_settings *s, const captions *texts, int64_t patch,
                           int64_t numbers) {
    const mel_front *front = dataset_front(d);
    canvases *c = NEW(canvases);
    *c = (canvases){.data = d,
                    .list = dataset_recordings(d),
                    .settings = *s,
                    .texts = texts,
                    .patch = patch,
                    .numbers = numbers,
                    .bands = front->bands,
                    .hop = front->stft.hop,
                    .rate = front->rate,
                    .silence = logf(1e-5f)};
    for (int i = 0; i < s->lengths; i++)
        if (s->frames[i] % patch)
            fail(HISS_ERROR_ARGUMENT, "canvas.frames: %lld is no multiple of the patch, %lld", (long long) s->frames[i],
                 (long long) patch);
    c->bpm = NEW_ARRAY(double, c->list->count + 1);
    for (size_t i = 0; i < c->list->count; i++)
        c->bpm[i] = music_asked(c->list->items[i].caption ? c->list->items[i].caption : "").bpm;
    fill_shelves(c);
    return (batch_source){c, draw_canvases, hold_out_canvases, true};
}
