/* See prompts.h. */
#include "cli/prompts.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/scope.h"
#include "base/text.h"

enum { PROMPT, CAPTION, CLASS, SECONDS, SPLIT, COLUMNS, MOST_BYTES = 64 << 20 };
static const char *const NAMES[COLUMNS] = {"prompt", "caption", "class", "seconds", "split"};

typedef struct {
    const char *path;
    size_t line;
    int column[COLUMNS]; /* -1: not there */
} reading;

static void read_heading(reading *r, const char *line) {
    size_t n;
    char **cells = split(line, '\t', &n);
    for (int c = 0; c < COLUMNS; c++) {
        r->column[c] = -1;
        for (size_t i = 0; i < n; i++)
            if (!strcmp(cells[i], NAMES[c])) r->column[c] = (int) i;
    }
    if (r->column[PROMPT] < 0) r->column[PROMPT] = r->column[CAPTION];
    if (r->column[PROMPT] < 0)
        fail(HISS_ERROR_FORMAT,
             "%s: the first line names no column \"prompt\" or \"caption\" (columns are separated by tabs)", r->path);
}

/* False: not to be made. */
static bool read_row(const reading *r, const char *line, prompt_row *to) {
    size_t n;
    char **cells = split(line, '\t', &n);
    const char *cell[COLUMNS] = {0};
    for (int c = 0; c < COLUMNS; c++)
        if (r->column[c] >= 0 && (size_t) r->column[c] < n && *cells[r->column[c]]) cell[c] = cells[r->column[c]];
    if (cell[SPLIT] && !strcmp(cell[SPLIT], "train")) return false;
    if (!cell[PROMPT]) fail(HISS_ERROR_FORMAT, "%s, line %zu: no prompt", r->path, r->line);
    char *bar = strstr(cell[PROMPT], " | ");
    if (bar) *bar = 0;
    *to = (prompt_row){cell[PROMPT], cell[CLASS], 0};
    if (cell[SECONDS] && !parse_double(cell[SECONDS], 0.001, 36000, &to->seconds))
        fail(HISS_ERROR_FORMAT, "%s, line %zu: '%s' is no number of seconds", r->path, r->line, cell[SECONDS]);
    return true;
}

prompt_list prompts_read(const char *path) {
    const bytes whole = file_read(path, MOST_BYTES);
    if (memchr(whole.data, 0, whole.size))
        fail(HISS_ERROR_FORMAT, "%s: not a list of prompts but something else", path);
    char *text = format("%.*s", (int) whole.size, (const char *) whole.data);
    size_t lines;
    char **line = split(text, '\n', &lines);
    prompt_list l = {NEW_ARRAY(prompt_row, lines + 1), 0};
    reading r = {.path = path};
    for (size_t i = 0; i < lines; i++) {
        if (!*line[i] || *line[i] == '#') continue;
        r.line = i + 1;
        if (r.line == 1) read_heading(&r, line[i]);
        else l.count += read_row(&r, line[i], &l.rows[l.count]);
    }
    if (!l.count) fail(HISS_ERROR_FORMAT, "%s: holds no prompts", path);
    return l;
}
