#include "weights_tsv.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

typedef struct {
    char *name;
    double center, scale;
    shape shape;
    uint64_t size; /* elements */
} row;

static uint64_t fnv1a64(const char *text) {
    uint64_t h = 0xCBF29CE484222325;
    for (; *text; text++) h = (h ^ (uint8_t) *text) * 0x100000001B3;
    return h;
}

/* splitmix64's finaliser; the upper 24 bits as a number in [-1, 1). */
static double element(uint64_t hash, uint64_t i) {
    uint64_t z = hash + (i + 1) * 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z ^= z >> 31;
    return (double) (z >> 40) * 0x1p-23 - 1.0;
}

static row read_row(const char *path, const char *line) {
    size_t columns, dims = 0;
    char **column = split(line, '\t', &columns);
    if (columns != 4) fail(HISS_ERROR_FORMAT, "%s: a row of %zu columns: '%s'", path, columns, line);
    row r = {.name = column[0], .center = atof(column[2]), .scale = atof(column[3]), .size = 1};
    char **sizes = column[1][0] ? split(column[1], ',', &dims) : NULL;
    if (dims > MAX_RANK) fail(HISS_ERROR_FORMAT, "%s: too many dimensions: '%s'", path, line);
    for (size_t i = 0; i < dims; i++) {
        long long size;
        if (!parse_long(sizes[i], 1, 1 << 28, &size)) fail(HISS_ERROR_FORMAT, "%s: a bad shape: '%s'", path, line);
        r.shape.dims[r.shape.rank++] = size;
        r.size *= (uint64_t) size;
    }
    if (r.size > 1 << 28) fail(HISS_ERROR_FORMAT, "%s: a tensor too large: '%s'", path, line);
    return r;
}

static row *read_rows(const char *path, size_t *count) {
    bytes file = file_read(path, 1 << 24);
    size_t lines;
    char **line = split((const char *) file.data, '\n', &lines);
    row *rows = NEW_ARRAY(row, lines + 1);
    *count = 0;
    for (size_t i = 1; i < lines; i++) /* the first is the heading */
        if (line[i][0]) rows[(*count)++] = read_row(path, line[i]);
    return rows;
}

static const char *read_salt(const char *folder) {
    const char *path = path_join(folder, "case.json");
    return file_exists(path) ? config_string(config_load(path), "salt", "") : "";
}

static json_t *header_of(const row *rows, size_t count) {
    json_t *header = json_make_object();
    uint64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        json_t *dims = json_array();
        for (int d = 0; d < rows[i].shape.rank; d++) json_array_append_new(dims, json_integer(rows[i].shape.dims[d]));
        uint64_t end = at + 4 * rows[i].size;
        json_object_set_new(header, rows[i].name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", dims, "data_offsets",
                                      (json_int_t) at, (json_int_t) end));
        at = end;
    }
    return header;
}

static bytes make_file(const char *folder) {
    size_t count;
    row *rows = read_rows(path_join(folder, "weights.tsv"), &count);
    const char *salt = read_salt(folder), *header = json_text(header_of(rows, count));
    uint64_t length = strlen(header), start = (8 + length + 7) / 8 * 8, values = 0;
    for (size_t i = 0; i < count; i++) values += rows[i].size;
    uint8_t *file = alloc(start + 4 * values);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t) ((start - 8) >> (8 * i));
    memset(file + 8, ' ', start - 8);
    memcpy(file + 8, header, length);
    float *out = (float *) (file + start);
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = fnv1a64(format("%s%s", salt, rows[i].name));
        for (uint64_t k = 0; k < rows[i].size; k++)
            *out++ = (float) (rows[i].center + rows[i].scale * element(hash, k));
    }
    return (bytes){file, start + 4 * values};
}

store *weights_tsv_open(const char *folder) {
    bytes file = make_file(folder);
    return store_open_memory(file.data, file.size, path_join(folder, "weights.tsv"), false);
}

void weights_tsv_write(const char *folder, const char *path) {
    bytes file = make_file(folder);
    file_write(path, file.data, file.size);
}
