/* hiss devices: where networks can run. */
#include <stdio.h>

#include "base/parallel.h"
#include "base/scope.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/version.h"
#include "tensor/device.h"

static void run(const arguments *a) {
    (void) a;
    say(a, "cpu     %d cores, %s", threads_get(), version_kernels());
    fputs(device_list(), stdout);
}

static const option_id TAKES[] = {OPT_QUIET, OPT_HELP, OPTS};

const command COMMAND_DEVICES = {
    .name = "devices",
    .summary = "list where networks can run",
    .names = "",
    .takes = TAKES,
    .needs = {OPTS},
    .notes = "The names are those that --device takes. A GPU is used by itself where there is one; --device cpu keeps "
             "to the "
             "processor.",
    .examples = EXAMPLES({"what is here", "hiss devices"},
                         {"on the second GPU", "hiss generate \"soft rain\" --device cuda:1 -o rain.wav"}),
    .run = run,
};
