/* The command line's words. One table of options drives parsing, defaults, ranges, help, the man page and completion, and
 * the same word means the same in every command; a command is a row that lists the words it takes. */
#ifndef HISS_CLI_OPTIONS_H
#define HISS_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    OPT_MODEL,
    OPT_OUT,
    OPT_SECONDS,
    OPT_COUNT,
    OPT_SEED,
    OPT_SEED_LIKE,
    OPT_STEPS,
    OPT_UPDATES,
    OPT_RUN_SEED,
    OPT_SAMPLER,
    OPT_SCHEDULE,
    OPT_BETAS,
    OPT_TRIES,
    OPT_ETA,
    OPT_CLASS,
    OPT_GUIDANCE,
    OPT_PROMPTS,
    OPT_RESCALE,
    OPT_NEGATIVE,
    OPT_BLEND,
    OPT_BLEND_PART,
    OPT_ROUGH,
    OPT_SUNG,
    OPT_ROUGH_BLUR,
    OPT_REFERENCE,
    OPT_INIT,
    OPT_STRENGTH,
    OPT_INTO,
    OPT_VARY,
    OPT_AMOUNT,
    OPT_INPAINT,
    OPT_CONTINUE,
    OPT_LOOP,
    OPT_STREAM,
    OPT_START,
    OPT_SET,
    OPT_TEXT_ENCODER,
    OPT_BPM,
    OPT_KEY,
    OPT_CHORDS,
    OPT_MELODY,
    OPT_BARS,
    OPT_VOCODER,
    OPT_QUALITY,
    OPT_LEVELS,
    OPT_FRONT,
    OPT_TYPE,
    OPT_TENSORS,
    OPT_RECIPE,
    OPT_DATA,
    OPT_FROM,
    OPT_RANK,
    OPT_LORA,
    OPT_LORA_STRENGTH,
    OPT_MINUTES,
    OPT_RESUME,
    OPT_BITS,
    OPT_PICTURE,
    OPT_STEPS_PICTURE,
    OPT_PAGE,
    OPT_JUDGE,
    OPT_REAL,
    OPT_FEATURES,
    OPT_MUSIC,
    OPT_STEADY,
    OPT_PRECISION,
    OPT_DEVICE,
    OPT_THREADS,
    OPT_MAN,
    OPT_COMPLETION,
    OPT_JSON,
    OPT_QUIET,
    OPT_HELP,
    OPTS /* how many there are; ends a command's list */
} option_id;

typedef enum { KIND_FLAG, KIND_TEXT, KIND_PATH, KIND_INTEGER, KIND_NUMBER, KIND_CHOICE } option_kind;

/* Headings of the help, in its order. */
typedef enum {
    GROUP_MAKE,
    GROUP_EDIT,
    GROUP_TRAINING,
    GROUP_MEASURE,
    GROUP_MODEL,
    GROUP_SAMPLING,
    GROUP_STABLE,
    GROUP_OUTPUT,
    GROUP_RUNNING,
    GROUPS
} option_group;

extern const char *const GROUP_NAMES[GROUPS];

typedef struct {
    option_group group;
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    option_kind kind;
    const char *value;     /* what stands for the value in the help: "FILE", "SECONDS" */
    const char *unit;      /* "s", "dB"; NULL: none */
    double low, high;      /* of numbers */
    const char *otherwise; /* the default as a user would type it; NULL: none, or told by the model */
    const char *help;
    const char *const *(*choices)(void); /* of KIND_CHOICE: NULL-terminated names */
} option;

/* In the order of option_id. */
extern const option OPTION_TABLE[OPTS];

/* What was typed: texts checked against the table, defaults filled in. Strings live in the scope of the parsing. */
typedef struct {
    const struct command *command;
    const char *text[OPTS]; /* NULL: not given and no default */
    bool given[OPTS];
    const char **names; /* the arguments that are not options, NULL-terminated */
    size_t name_count;
} arguments;

/* What it does, the line. */
typedef struct {
    const char *does, *line;
} example;

/* As many as a command's help needs. */
#define EXAMPLES(...)                                                                                                  \
    (const example[]) {                                                                                                \
        __VA_ARGS__, { NULL, NULL }                                                                                    \
    }

typedef struct command {
    const char *name, *summary;
    const char *names; /* of the arguments: "IN.wav", "" */
    size_t names_least, names_most;
    const option_id *takes;  /* ended by OPTS */
    option_id needs[3];      /* that must be given; ended by OPTS */
    const example *examples; /* ended by an empty one: EXAMPLES(...) */
    const char *notes;       /* a paragraph for the help, or NULL */
    void (*run)(const arguments *a);
} command;

/* argv holds what follows the command's name. Fails with HISS_ERROR_ARGUMENT, naming the nearest known words. */
arguments arguments_parse(const command *c, int argc, char **argv);

bool flag(const arguments *a, option_id id);
const char *text(const arguments *a, option_id id); /* NULL: not given and no default */
int64_t integer(const arguments *a, option_id id, int64_t otherwise);
double number(const arguments *a, option_id id, double otherwise);
/* A list of numbers with commas, each within the option's range, in the current scope. */
double *numbers(const arguments *a, option_id id, size_t *count);

#endif
