/* Training in a process of its own, which may be stopped at any moment: the test program itself, called again. */
#ifndef HISS_TESTS_CHILD_TRAINING_H
#define HISS_TESTS_CHILD_TRAINING_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/scope.h"
#include "train/checkpoint.h"
#include "train/loop.h"

enum { CHILD_INTERRUPTED = 3, CHILD_WORDS = 7 };

/* Goes on from the newest checkpoint if there is one. */
static inline pid_t start_child(const char *recipe, const char *from, const char *data, const char *out,
                                int64_t steps) {
    const char *count = format("%" PRId64, steps);
    const pid_t child = fork();
    if (child) return child;
    execl("/proc/self/exe", "test", "--train", recipe, from ? from : "", data, out, count, (char *) NULL);
    _exit(127);
}

static inline void child_train(void *words) {
    char **a = words;
    train_options o = {.recipe = a[2], .from = *a[3] ? a[3] : NULL, .data = a[4], .out = a[5], .steps = atoll(a[6])};
    o.resume = checkpoint_latest(o.out) != NULL;
    if (train_run(&o).interrupted) _exit(CHILD_INTERRUPTED);
}

/* For main(): true in such a process, after its work. */
static inline bool was_child(int count, char **words, int *code) {
    if (count != CHILD_WORDS || strcmp(words[1], "--train") != 0) return false;
    hiss_error error;
    interrupt_catch();
    *code = try_run(child_train, words, &error) ? 0 : 1;
    if (*code) fprintf(stderr, "%s\n", error.message);
    return true;
}

static inline void wait_milliseconds(int64_t ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

#endif
