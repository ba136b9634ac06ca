/* Help, manual page and completion, all from the tables of commands and options. */
#include <stdio.h>
#include <string.h>

#include "base/parallel.h"
#include "base/scope.h"
#include "cli/commands.h"
#include "cli/version.h"
#include "tensor/device.h"

enum { HELP_COLUMN = 30, HELP_WIDTH = 100 };

/* --- words about an option --- */

static const char *spelling(const option *o) {
    const char *letter = o->letter ? format("-%c, ", o->letter) : "    ";
    return format("%s--%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
}

static const char *joined_choices(const option *o) {
    const char *joined = "";
    for (const char *const *c = o->choices(); *c; c++) joined = format("%s%s%s", joined, *joined ? ", " : "", *c);
    return joined;
}

/* What it does, its range with the unit, the names it may have, the default. */
static const char *description(const option *o) {
    const char *unit = o->unit ? format(" %s", o->unit) : "", *d = o->help;
    if (o->kind == KIND_INTEGER || o->kind == KIND_NUMBER) d = format("%s; %g to %.16g%s", d, o->low, o->high, unit);
    if (o->kind == KIND_CHOICE) d = format("%s: %s", d, joined_choices(o));
    if (o->otherwise) d = format("%s [%s%s]", d, o->otherwise, unit);
    return d;
}

/* The options of a command heading by heading, in the order in which it takes them; ended by OPTS. */
static const option_id *grouped(const command *c) {
    option_id *sorted = NEW_ARRAY(option_id, OPTS + 1);
    size_t n = 0;
    for (option_group g = 0; g < GROUPS; g++)
        for (const option_id *i = c->takes; *i != OPTS; i++)
            if (OPTION_TABLE[*i].group == g) sorted[n++] = *i;
    sorted[n] = OPTS;
    return sorted;
}

/* The heading that stands before an option of such a list, or NULL. */
static const char *heading(const option_id *list, const option_id *at) {
    const option_group group = OPTION_TABLE[*at].group;
    return at > list && OPTION_TABLE[at[-1]].group == group ? NULL : GROUP_NAMES[group];
}

/* --- help --- */

/* Words from `column` on, wrapped. */
static void print_wrapped(const char *words, int column) {
    int at = column;
    while (*words) {
        int length = (int) strcspn(words, " ");
        if (at > column && at + 1 + length > HELP_WIDTH) {
            printf("\n%*s", column, "");
            at = column;
        }
        at += printf("%s%.*s", at > column ? " " : "", length, words);
        words += length;
        words += strspn(words, " ");
    }
    putchar('\n');
}

static void print_row(const char *left, const char *right) {
    int length = printf("  %s", left);
    if (length >= HELP_COLUMN) printf("\n%*s", HELP_COLUMN, "");
    else printf("%*s", HELP_COLUMN - length, "");
    print_wrapped(right, HELP_COLUMN);
}

static void print_usage(const command *c) {
    printf("usage: hiss %s", c->name);
    for (int i = 0; i < 3 && c->needs[i] != OPTS; i++)
        printf(" --%s %s", OPTION_TABLE[c->needs[i]].name, OPTION_TABLE[c->needs[i]].value);
    printf("%s%s [options]   (defaults in brackets)\n", *c->names ? " " : "", c->names);
}

static void print_command_help(const command *c) {
    printf("hiss %s: %s\n\n", c->name, c->summary);
    print_usage(c);
    const option_id *list = grouped(c);
    for (const option_id *i = list; *i != OPTS; i++) {
        if (heading(list, i)) printf("\n%s:\n", heading(list, i));
        print_row(spelling(&OPTION_TABLE[*i]), description(&OPTION_TABLE[*i]));
    }
    if (c->notes) {
        putchar('\n');
        print_wrapped(c->notes, 0);
    }
    printf("\nexamples:\n");
    for (const example *e = c->examples; e->line; e++) printf("  # %s\n  %s\n", e->does, e->line);
}

void print_help(const command *c) {
    if (c) return print_command_help(c);
    printf("hiss: audio diffusion: train, generate, look inside\n\nusage: hiss COMMAND [options]\n\ncommands:\n");
    for (const command *const *i = COMMANDS; *i; i++) print_row((*i)->name, (*i)->summary);
    printf("\nhiss COMMAND --help explains one; hiss --version says what this program is made of.\n"
           "Exit codes: 0 fine, 1 failed, 2 wrong usage. Only results go to standard output.\n");
}

void print_version(void) {
    printf("hiss %s\n", HISS_VERSION_TEXT);
    printf("processor: %s (%s%s%s%s), %d threads\n", cpu()->name, cpu()->avx2 ? "avx2" : "baseline",
           cpu()->avx512 ? " avx512" : "", cpu()->avx512_bf16 ? " avx512-bf16" : "", cpu()->amx_bf16 ? " amx-bf16" : "",
           threads_get());
    printf("kernels: %s\n", version_kernels());
    printf("devices: %s", device_list());
    for (size_t i = 0; version_library(i); i++) printf("library: %s\n", version_library(i));
}

/* --- manual page --- */

/* roff takes a leading dot or quote as a command, and a plain - as a hyphen. */
static void print_roff(const char *s) {
    if (*s == '.' || *s == '\'') fputs("\\&", stdout);
    for (; *s; s++) {
        if (*s == '\\') fputs("\\e", stdout);
        else if (*s == '-') fputs("\\-", stdout);
        else putchar(*s);
    }
}

static void print_roff_line(const char *before, const char *s) {
    fputs(before, stdout);
    print_roff(s);
    putchar('\n');
}

static void print_man_command(const command *c) {
    print_roff_line(".SS hiss ", format("%s %s", c->name, c->names));
    print_roff_line("", format("%s.", c->summary));
    if (c->notes) print_roff_line(".PP\n", c->notes);
    const option_id *list = grouped(c);
    for (const option_id *i = list; *i != OPTS; i++) {
        const option *o = &OPTION_TABLE[*i];
        if (heading(list, i)) print_roff_line(".PP\n", format("%s:", heading(list, i)));
        print_roff_line(".TP\n.B ", spelling(o) + (o->letter ? 0 : 4));
        print_roff_line("", description(o));
    }
    for (const example *e = c->examples; e->line; e++) {
        print_roff_line(".PP\n", format("%s:", e->does));
        print_roff_line(".PP\n.RS\n.nf\n", e->line);
        printf(".fi\n.RE\n");
    }
}

static void print_man(void) {
    printf(".TH HISS 1 \"\" \"hiss %s\" \"User Commands\"\n.SH NAME\nhiss \\- audio diffusion\n", HISS_VERSION_TEXT);
    printf(".SH SYNOPSIS\n.B hiss\n.I COMMAND\n[options]\n.SH COMMANDS\n");
    for (const command *const *i = COMMANDS; *i; i++) print_man_command(*i);
    printf(".SH EXIT STATUS\n0 fine, 1 failed, 2 wrong usage.\n");
}

/* --- completion --- */

static const char *command_names(void) {
    const char *names = "";
    for (const command *const *i = COMMANDS; *i; i++) names = format("%s%s%s", names, *names ? " " : "", (*i)->name);
    return names;
}

static const char *option_names(const command *c) {
    const char *names = "";
    for (const option_id *i = c->takes; *i != OPTS; i++)
        names = format("%s%s--%s", names, *names ? " " : "", OPTION_TABLE[*i].name);
    return names;
}

static const char *choice_words(const option *o) {
    const char *names = "";
    for (const char *const *c = o->choices(); *c; c++) names = format("%s%s%s", names, *names ? " " : "", *c);
    return names;
}

static void print_bash(void) {
    printf("_hiss() {\n  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n  COMPREPLY=()\n");
    printf("  if [ \"$COMP_CWORD\" = 1 ]; then\n    COMPREPLY=($(compgen -W '%s --help --version' -- \"$word\")); "
           "return\n  fi\n",
           command_names());
    printf("  case $before in\n");
    for (int i = 0; i < OPTS; i++)
        if (OPTION_TABLE[i].kind == KIND_CHOICE)
            printf("  --%s) COMPREPLY=($(compgen -W '%s' -- \"$word\")); return;;\n", OPTION_TABLE[i].name,
                   choice_words(&OPTION_TABLE[i]));
    printf("  esac\n  [[ $word == -* ]] && case ${COMP_WORDS[1]} in\n");
    for (const command *const *i = COMMANDS; *i; i++)
        printf("  %s) COMPREPLY=($(compgen -W '%s' -- \"$word\"));;\n", (*i)->name, option_names(*i));
    printf("  esac\n}\ncomplete -o default -F _hiss hiss\n");
}

/* A text inside single quotes of sh and fish; zsh's brackets and colons are taken out. */
static const char *quoted(const char *s) {
    char *copy = copy_string(s);
    for (char *c = copy; *c; c++)
        if (strchr("'[]:\\", *c)) *c = ' ';
    return copy;
}

static void print_zsh(void) {
    printf("#compdef hiss\n_hiss() {\n  if (( CURRENT == 2 )); then\n    compadd %s --help --version; return\n  fi\n  "
           "case $words[2] in\n",
           command_names());
    for (const command *const *i = COMMANDS; *i; i++) {
        printf("  %s) _arguments '*:file:_files'", (*i)->name);
        for (const option_id *j = (*i)->takes; *j != OPTS; j++) {
            const option *o = &OPTION_TABLE[*j];
            printf(" \\\n      '--%s[%s]", o->name, quoted(o->help));
            if (o->kind == KIND_CHOICE) printf(":%s:(%s)'", quoted(o->value), choice_words(o));
            else if (o->kind == KIND_FLAG) printf("'");
            else printf(":%s:%s'", quoted(o->value), o->kind == KIND_PATH ? "_files" : "");
        }
        printf(" ;;\n");
    }
    printf("  esac\n}\n_hiss \"$@\"\n");
}

static void print_fish(void) {
    for (const command *const *i = COMMANDS; *i; i++) {
        printf("complete -c hiss -n __fish_use_subcommand -f -a %s -d '%s'\n", (*i)->name, quoted((*i)->summary));
        for (const option_id *j = (*i)->takes; *j != OPTS; j++) {
            const option *o = &OPTION_TABLE[*j];
            printf("complete -c hiss -n '__fish_seen_subcommand_from %s' -l %s", (*i)->name, o->name);
            if (o->letter) printf(" -s %c", o->letter);
            if (o->kind == KIND_CHOICE) printf(" -x -a '%s'", choice_words(o));
            else if (o->kind != KIND_FLAG) printf(" -r");
            printf(" -d '%s'\n", quoted(o->help));
        }
    }
}

/* --- the command --- */

static void run(const arguments *a) {
    static const struct {
        const char *shell;
        void (*print)(void);
    } SHELLS[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    if (flag(a, OPT_MAN)) return print_man();
    for (int i = 0; flag(a, OPT_COMPLETION) && i < 3; i++)
        if (!strcmp(text(a, OPT_COMPLETION), SHELLS[i].shell)) return SHELLS[i].print();
    print_help(a->name_count ? find_command(a->names[0]) : NULL);
}

static const option_id TAKES[] = {OPT_MAN, OPT_COMPLETION, OPT_HELP, OPTS};

const command COMMAND_HELP = {
    .name = "help",
    .summary = "explain a command; print the manual page or shell completion",
    .names = "[COMMAND]",
    .names_most = 1,
    .takes = TAKES,
    .needs = {OPTS},
    .examples = EXAMPLES({"read the manual", "hiss help --man | man -l -"},
                         {"complete words in this shell", "source <(hiss help --completion bash)"}),
    .run = run,
};
