/* The one-line form of scenes: "a calm harbour at night: waves, distant bell, gulls". Two tables: sounds, whose words tell
 * beds from events, and adjectives, which set a layer and are taken out of its prompt. */
#include "scene/words.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/scope.h"
#include "base/text.h"

enum { MAX_WORDS = 32, MAX_LINE = 4096 };
static const double USUAL_PER_MINUTE = 6, USUAL_DISTANCE = 10, EVENT_SPREAD = 0.8;

static const struct {
    const char *words; /* separated by spaces */
    double per_minute; /* 0: a bed */
    double distance;   /* metres */
    double gain;       /* dB */
} SOUNDS[] = {
    {"rain drizzle downpour hail sleet storm snowfall", 0, 5, 0},
    {"wind breeze gale draught leaves rustling foliage grass reeds", 0, 10, -3},
    {"waves wave sea surf ocean shore tide", 0, 15, 0},
    {"stream brook river creek waterfall fountain water rapids", 0, 10, -2},
    {"fire fireplace campfire bonfire crackling", 0, 3, -3},
    {"crowd chatter people voices murmur audience market cafe restaurant party applause", 0, 10, -4},
    {"traffic highway motorway street city train tram bus subway", 0, 30, -4},
    {"engine motor machine machinery generator mower tractor boat ship aeroplane airplane helicopter drill", 0, 15, -3},
    {"hum buzz drone rumble hiss static noise fan ventilation refrigerator fridge air-conditioner computer", 0, 5, -8},
    {"crickets cicadas insects bees frogs birdsong dawn-chorus", 0, 15, -4},
    {"ambience atmosphere silence room", 0, 5, -10},
    {"music radio television choir organ", 0, 10, -4},
    {"bell chime gong", 3, 30, 2},
    {"thunder lightning explosion", 1.5, 150, 12},
    {"dog bark barking wolf howl", 5, 25, 2},
    {"cat meow goat sheep cow moo horse neigh pig donkey", 3, 20, 0},
    {"bird chirp sparrow robin blackbird nightingale finch tweet", 10, 15, -2},
    {"gull seagull crow raven rook magpie eagle hawk duck goose owl cuckoo woodpecker rooster hen", 5, 30, 2},
    {"frog cricket cicada bee fly mosquito", 8, 8, -4},
    {"footstep footsteps step", 40, 6, -2},
    {"knock knocking tap tapping hammer hammering clap", 4, 5, 0},
    {"door gate window creak creaking squeak", 2, 6, 0},
    {"clock tick ticking", 60, 3, -6},
    {"drip dripping droplet splash bubble", 20, 4, -4},
    {"horn foghorn siren whistle honk alarm", 1.5, 80, 8},
    {"car truck motorcycle bicycle", 3, 20, 0},
    {"laugh laughter cough sneeze shout scream whisper child children baby", 4, 12, 0},
    {"glass plate cup cutlery coin keys paper", 6, 4, -3},
    {"twig branch snap rustle", 4, 6, -3},
    {"kick snare hat clap tom cymbal crash ride shaker rim cowbell tambourine", 60, 0, 0},
};

typedef enum { SETS_DISTANCE, SETS_GAIN, SETS_RATE, SETS_BED, SETS_PAN } setting;

static const struct {
    const char *word;
    setting sets;
    double value; /* metres, dB, a minute, -, -1 to 1 */
} ADJECTIVES[] = {
    {"distant", SETS_DISTANCE, 120}, {"far", SETS_DISTANCE, 120},    {"faraway", SETS_DISTANCE, 200},
    {"far-off", SETS_DISTANCE, 200}, {"remote", SETS_DISTANCE, 200}, {"near", SETS_DISTANCE, 2},
    {"nearby", SETS_DISTANCE, 2},    {"close", SETS_DISTANCE, 1},    {"soft", SETS_GAIN, -6},
    {"quiet", SETS_GAIN, -8},        {"faint", SETS_GAIN, -12},      {"loud", SETS_GAIN, 6},
    {"occasional", SETS_RATE, 2},    {"rare", SETS_RATE, 0.75},      {"frequent", SETS_RATE, 15},
    {"constant", SETS_BED, 0},       {"continuous", SETS_BED, 0},    {"steady", SETS_BED, 0},
    {"left", SETS_PAN, -0.6},        {"right", SETS_PAN, 0.6},       {"centre", SETS_PAN, 0},
    {"center", SETS_PAN, 0},
};

static const char *const PREPOSITIONS[] = {"on",   "in",   "of",     "at",     "against", "through", "with",
                                           "from", "over", "under",  "by",     "near",    "behind",  "along",
                                           "to",   "down", "across", "inside", "among",   NULL};
static const char *const ARTICLES[] = {"a", "an", "the", "some", "and", "with", NULL};
/* What may stand before left and right. */
static const char *const TOWARDS[] = {"on", "to", "from", "in", "at", "the", "far", "slightly", NULL};

static bool is_one_of(const char *word, const char *const *list) {
    while (*list && strcasecmp(word, *list)) list++;
    return *list != NULL;
}

/* The same word, or its plural. */
static bool same_word(const char *typed, const char *known, size_t length) {
    return !strncasecmp(typed, known, length) &&
           (!typed[length] || !strcasecmp(typed + length, "s") || !strcasecmp(typed + length, "es"));
}

static int find_sound(const char *typed) {
    for (int row = 0; row < (int) (sizeof SOUNDS / sizeof *SOUNDS); row++)
        for (const char *p = SOUNDS[row].words; *p;) {
            const size_t length = strcspn(p, " ");
            if (same_word(typed, p, length)) return row;
            p += length + (p[length] == ' ');
        }
    return -1;
}

/* --- words of one layer --- */

typedef struct {
    char *word[MAX_WORDS];
    size_t count;
} phrase;

static void drop(phrase *p, size_t first, size_t count) {
    memmove(p->word + first, p->word + first + count, (p->count - first - count) * sizeof *p->word);
    p->count -= count;
}

static phrase phrase_of(const char *words) {
    size_t count;
    char **pieces = split(words, ' ', &count);
    phrase p = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        if (!*pieces[i]) continue;
        if (p.count == MAX_WORDS)
            fail(HISS_ERROR_ARGUMENT, "'%s': describe one sound in at most %d words", words, MAX_WORDS);
        p.word[p.count++] = pieces[i];
    }
    return p;
}

static const char *joined(const phrase *p) {
    const char *all = "";
    for (size_t i = 0; i < p->count; i++) all = format("%s%s%s", all, i ? " " : "", p->word[i]);
    return all;
}

/* How many words of the head of the phrase: "rain on a tin roof" is about rain. */
static size_t head_length(const phrase *p) {
    size_t n = 0;
    while (n < p->count && (n == 0 || !is_one_of(p->word[n], PREPOSITIONS))) n++;
    return n;
}

static int sound_of(const phrase *p) {
    const size_t head = head_length(p);
    int row = -1;
    for (size_t i = head; i-- > 0 && row < 0;) row = find_sound(p->word[i]);
    for (size_t i = head; i < p->count && row < 0; i++) row = find_sound(p->word[i]);
    return row;
}

bool is_plural(const char *name) {
    const phrase p = phrase_of(name);
    const size_t head = head_length(&p);
    const char *word = head ? p.word[head - 1] : "";
    if (!strcasecmp(word, "people") || !strcasecmp(word, "children")) return true;
    return strlen(word) > 3 && ends_with(word, "s") && !ends_with(word, "ss") && !ends_with(word, "us") &&
           !ends_with(word, "is");
}

/* "far left", "on the right": takes the words before it with it. Returns how many went before i. */
static size_t set_pan(phrase *p, size_t i, double value, layer *l) {
    size_t first = i;
    for (; first > 0 && is_one_of(p->word[first - 1], TOWARDS); first--) {
        if (!strcasecmp(p->word[first - 1], "far")) value = value < 0 ? -1 : 1;
        if (!strcasecmp(p->word[first - 1], "slightly")) value /= 2;
    }
    l->pan = (span){value, value};
    drop(p, first, i - first);
    return i - first;
}

static void apply(layer *l, setting sets, double value) {
    switch (sets) {
    case SETS_DISTANCE: l->distance = (span){value, value}; break;
    case SETS_GAIN: l->gain = (span){l->gain.low + value, l->gain.high + value}; break;
    case SETS_RATE: l->per_minute = value; break;
    case SETS_BED: l->per_minute = 0; break;
    case SETS_PAN: break;
    }
}

/* Places come first: in "far left" far is no distance. */
static void take_adjectives(phrase *p, layer *l, bool places) {
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < sizeof ADJECTIVES / sizeof *ADJECTIVES; k++) {
            if (strcasecmp(p->word[i], ADJECTIVES[k].word) || (ADJECTIVES[k].sets == SETS_PAN) != places) continue;
            if (places) i -= set_pan(p, i, ADJECTIVES[k].value, l);
            else apply(l, ADJECTIVES[k].sets, ADJECTIVES[k].value);
            drop(p, i, 1);
            if (!places && i < p->count && is_one_of(p->word[i], (const char *const[]){"off", "away", NULL}))
                drop(p, i, 1);
            i--;
            break;
        }
}

/* Beds have the width and fades of beds. */
static layer as_kind(layer l, layer_kind kind) {
    layer fresh = layer_default(kind);
    fresh.gain = l.gain;
    fresh.pan = l.pan;
    fresh.distance = l.distance;
    fresh.per_minute = l.per_minute;
    fresh.name = fresh.prompt = l.prompt;
    return fresh;
}

layer layer_from_words(const char *words) {
    phrase p = phrase_of(words);
    while (p.count && is_one_of(p.word[0], ARTICLES)) drop(&p, 0, 1);
    const int row = sound_of(&p);
    layer l = {.per_minute = row < 0 ? USUAL_PER_MINUTE : SOUNDS[row].per_minute};
    if (row >= 0) l.gain = (span){SOUNDS[row].gain, SOUNDS[row].gain};
    const double distance = row < 0 ? USUAL_DISTANCE : SOUNDS[row].distance;
    l.distance = (span){distance, distance};
    const span nowhere = {9, 9};
    l.pan = nowhere;
    take_adjectives(&p, &l, true);
    take_adjectives(&p, &l, false);
    while (p.count && is_one_of(p.word[0], ARTICLES)) drop(&p, 0, 1);
    if (!p.count) fail(HISS_ERROR_ARGUMENT, "'%s' names no sound: say what is heard, as in \"distant bell\"", words);
    l.prompt = joined(&p);
    const layer_kind kind = l.per_minute > 0 ? LAYER_EVENTS : LAYER_BED;
    if (l.pan.low == nowhere.low) l.pan = kind == LAYER_EVENTS ? (span){-EVENT_SPREAD, EVENT_SPREAD} : (span){0, 0};
    return as_kind(l, kind);
}

/* --- the line --- */

static void check_line(const char *words) {
    if (strlen(words) > MAX_LINE) fail(HISS_ERROR_ARGUMENT, "a scene in words: at most %d bytes", MAX_LINE);
    for (const char *p = words; *p; p++)
        if ((unsigned char) *p < ' ' || *p == 127)
            fail(HISS_ERROR_ARGUMENT, "a scene in words: give one line of text, without control characters");
    json_t *valid = json_string(words);
    if (!valid) fail(HISS_ERROR_ARGUMENT, "a scene in words: the text is not UTF-8");
    json_decref(valid);
}

scene *scene_from_words(const char *words) {
    check_line(words);
    scene *s = NEW(scene);
    *s = scene_default();
    size_t count;
    const char *colon = strchr(words, ':'), *list = colon ? colon + 1 : words;
    if (colon) s->title = split(format("%.*s", (int) (colon - words), words), '\n', NULL)[0];
    if (strlen(s->title) > SCENE_MAX_NAME)
        fail(HISS_ERROR_ARGUMENT, "the words before the colon: at most %d bytes", SCENE_MAX_NAME);
    char **pieces = split(list, ',', &count);
    s->layers = NEW_ARRAY(layer, count);
    for (size_t i = 0; i < count; i++) {
        if (!*pieces[i]) continue;
        if (strlen(pieces[i]) > SCENE_MAX_NAME)
            fail(HISS_ERROR_ARGUMENT, "'%.40s...': describe one sound in at most %d bytes", pieces[i], SCENE_MAX_NAME);
        if (s->layer_count == SCENE_MAX_LAYERS)
            fail(HISS_ERROR_ARGUMENT, "a scene has at most %d layers", SCENE_MAX_LAYERS);
        s->layers[s->layer_count++] = layer_from_words(pieces[i]);
    }
    if (!s->layer_count)
        fail(HISS_ERROR_ARGUMENT, "'%s': no sounds; say what is heard, as in \"harbour: waves, distant bell\"", words);
    return s;
}
