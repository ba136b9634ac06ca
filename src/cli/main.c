/* hiss: the program. Finds the command, runs it inside the border of errors, and turns the outcome into an exit code. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mapped.h"
#include "base/parallel.h"
#include "base/scope.h"
#include "base/text.h"
#include "cli/commands.h"

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

const command *const COMMANDS[] = {&COMMAND_GENERATE,
                                   &COMMAND_SCENE,
                                   &COMMAND_VOCODE,
                                   &COMMAND_ENCODE,
                                   &COMMAND_DECODE,
                                   &COMMAND_NOISE,
                                   &COMMAND_MEL,
                                   &COMMAND_SCHEDULE,
                                   &COMMAND_TRAIN,
                                   &COMMAND_DISTIL,
                                   &COMMAND_EVAL,
                                   &COMMAND_INFO,
                                   &COMMAND_CONVERT,
                                   &COMMAND_CLASSES,
                                   &COMMAND_DEVICES,
                                   &COMMAND_HELP,
                                   NULL};

const command *find_command(const char *name) {
    const char *names[32];
    size_t count = 0;
    for (; COMMANDS[count]; count++) {
        if (!strcmp(COMMANDS[count]->name, name)) return COMMANDS[count];
        names[count] = COMMANDS[count]->name;
    }
    fail(HISS_ERROR_ARGUMENT, "hiss: unknown command '%s': %s", name, suggest(name, names, count));
}

typedef struct {
    int argc;
    char **argv;
} words;

static bool is_any(const char *word, const char *a, const char *b) { return !strcmp(word, a) || !strcmp(word, b); }

static void run(void *argument) {
    words *w = argument;
    if (w->argc < 2) fail(HISS_ERROR_ARGUMENT, "hiss: which command? See hiss --help");
    const char *name = w->argv[1];
    if (is_any(name, "--help", "-h")) return print_help(NULL);
    if (is_any(name, "--version", "-V")) return print_version();
    const command *c = find_command(name);
    arguments a = arguments_parse(c, w->argc - 2, w->argv + 2);
    if (flag(&a, OPT_HELP)) return print_help(c);
    c->run(&a);
}

static bool is_quiet(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (is_any(argv[i], "-q", "--quiet")) return true;
    return false;
}

/* What is said again and again, of each sound of many, is said once. */
static void print_warning(const char *message) {
    static char last[1024];
    if (!strcmp(last, message)) return;
    snprintf(last, sizeof last, "%s", message);
    fprintf(stderr, "hiss: warning: %s\n", message);
}
static void ignore_warning(const char *message) { (void) message; }

int main(int argc, char **argv) {
    threads_spin_briefly(argv);
    hiss_error error = {0};
    words w = {argc, argv};
    interrupt_catch();
    mapped_guard();
    warn_to(is_quiet(argc, argv) ? ignore_warning : print_warning);
    scope_begin();
    bool fine = try_run(run, &w, &error);
    if (!fine) fprintf(stderr, "%s%s\n", starts_with(error.message, "hiss") ? "" : "hiss: ", error.message);
    scope_end();
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "hiss: standard output could not be written (disk full or closed)\n");
        return EXIT_FAILED;
    }
    if (fine) return EXIT_FINE;
    return error.code == HISS_ERROR_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}
