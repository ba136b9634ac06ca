/* The commands, one file each. */
#ifndef HISS_CLI_COMMANDS_H
#define HISS_CLI_COMMANDS_H

#include "cli/options.h"

extern const command COMMAND_GENERATE, COMMAND_VOCODE, COMMAND_MEL, COMMAND_NOISE, COMMAND_INFO, COMMAND_CONVERT,
    COMMAND_CLASSES, COMMAND_SCHEDULE, COMMAND_TRAIN, COMMAND_DISTIL, COMMAND_EVAL, COMMAND_SCENE, COMMAND_ENCODE,
    COMMAND_DECODE, COMMAND_DEVICES, COMMAND_HELP;

/* In the order of the help; NULL-terminated. */
extern const command *const COMMANDS[];

/* Prints a command's help, or the program's for NULL. */
void print_help(const command *c);
void print_version(void);
/* The row of that name; fails with the nearest names. */
const command *find_command(const char *name);

#endif
