/* .npy (numpy.lib.format): magic, version, size of the header, a Python dict as text such as
 * {'descr': '<f4', 'fortran_order': False, 'shape': (80, 120), }, the data. */
#include <ctype.h>
#include <string.h>

#include "store/entries.h"

static const char magic[] = "\x93NUMPY";
enum { MAGIC = 6 };

static const struct {
    char name[3]; /* numpy's, after the byte order */
    dtype type;
} types[] = {{"f4", F32}, {"f8", F64}, {"f2", F16}, {"i8", I64},  {"i4", I32},
             {"i2", I16}, {"i1", I8},  {"u1", U8},  {"b1", BOOL8}};

typedef struct {
    const char *at, *end, *path;
} cursor;

bool npy_is(bytes file) { return file.size >= MAGIC && memcmp(file.data, magic, MAGIC) == 0; }

_Noreturn static void fail_header(const cursor *c) {
    fail(HISS_ERROR_FORMAT, "%s: the header of this .npy is damaged", c->path);
}

static void skip_spaces(cursor *c) {
    while (c->at < c->end && isspace((unsigned char) *c->at)) c->at++;
}

static bool take(cursor *c, const char *token) {
    skip_spaces(c);
    size_t length = strlen(token);
    if ((size_t) (c->end - c->at) < length || memcmp(c->at, token, length) != 0) return false;
    c->at += length;
    return true;
}

static void expect(cursor *c, const char *token) {
    if (!take(c, token)) fail_header(c);
}

/* A quoted string of at most size - 1 characters. */
static void take_string(cursor *c, char *out, size_t size) {
    skip_spaces(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) fail_header(c);
    char quote = *c->at++;
    size_t n = 0;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (n + 1 >= size) fail_header(c);
        out[n++] = *c->at;
    }
    if (c->at == c->end) fail_header(c);
    c->at++;
    out[n] = 0;
}

static int64_t take_size(cursor *c) {
    skip_spaces(c);
    if (c->at == c->end || !isdigit((unsigned char) *c->at)) fail_header(c);
    int64_t value = 0;
    for (; c->at < c->end && isdigit((unsigned char) *c->at); c->at++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *c->at - '0', &value))
            fail_header(c);
    take(c, "L"); /* written by Python 2 */
    return value;
}

static shape take_shape(cursor *c) {
    shape s = {0};
    expect(c, "(");
    while (!take(c, ")")) {
        if (s.rank == MAX_RANK) fail(HISS_ERROR_FORMAT, "%s: an array of more than 8 dimensions", c->path);
        s.dims[s.rank++] = take_size(c);
        if (!take(c, ",")) {
            expect(c, ")");
            break;
        }
    }
    return s;
}

typedef struct {
    dtype type;
    shape shape;
    bool fortran, swap;
} npy_header;

static void take_type(cursor *c, npy_header *h) {
    char text[16];
    if (take(c, "[")) fail(HISS_ERROR_FORMAT, "%s: an array of records is not a tensor", c->path);
    take_string(c, text, sizeof text);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (text[0] && strchr("<>=|", text[0]) && strcmp(text + 1, types[i].name) == 0) {
            h->type = types[i].type;
            h->swap = text[0] == '>';
            return;
        }
    fail(HISS_ERROR_FORMAT,
         "%s: an array of numpy type '%s', which hiss does not read: store it as float32 (x.astype('f4'))", c->path,
         text);
}

static npy_header take_header(cursor c) {
    npy_header h = {0};
    int seen = 0;
    expect(&c, "{");
    while (!take(&c, "}")) {
        char key[16];
        take_string(&c, key, sizeof key);
        expect(&c, ":");
        if (strcmp(key, "descr") == 0) take_type(&c, &h), seen |= 1;
        else if (strcmp(key, "shape") == 0) h.shape = take_shape(&c), seen |= 2;
        else if (strcmp(key, "fortran_order") == 0) {
            h.fortran = take(&c, "True");
            if (!h.fortran) expect(&c, "False");
            seen |= 4;
        } else fail_header(&c);
        if (!take(&c, ",")) {
            expect(&c, "}");
            break;
        }
    }
    if (seen != 7) fail_header(&c);
    return h;
}

void npy_parse(store *s, bytes file) {
    int width = file.size > MAGIC && file.data[MAGIC] == 1 ? 2 : 4; /* of the header's size */
    size_t start = MAGIC + 2 + (size_t) width;
    if (file.size < start) fail(HISS_ERROR_FORMAT, "%s: the file is cut short", s->path);
    if (file.data[MAGIC] < 1 || file.data[MAGIC] > 3)
        fail(HISS_ERROR_FORMAT, "%s: version %d of .npy, which hiss does not read", s->path, file.data[MAGIC]);
    uint64_t length = read_little(file.data + MAGIC + 2, width);
    if (length > file.size - start) fail(HISS_ERROR_FORMAT, "%s: the file is cut short", s->path);
    const char *text = (const char *) file.data + start;
    npy_header h = take_header((cursor){text, text + length, s->path});
    store_entry e = {.name = "array", .type = h.type, .shape = h.shape};
    int64_t stride[MAX_RANK] = {0};
    uint64_t size;
    if (!shape_size(h.shape, dtype_size(h.type), &size))
        fail(HISS_ERROR_FORMAT, "%s: an array of impossible shape %s", s->path, shape_text(h.shape));
    packed_strides(h.shape, stride);
    if (h.fortran)
        for (int64_t step = 1, i = 0; i < h.shape.rank; i++) {
            stride[i] = step;
            if (h.shape.dims[i] > 0) step *= h.shape.dims[i];
        }
    size_t data = start + (size_t) length;
    store_add(s, &e, file.data + data, file.size - data, stride, h.swap, file.size);
}

tensor *npy_read(const char *path) {
    bytes file = file_map(path);
    if (!npy_is(file)) fail(HISS_ERROR_FORMAT, "%s is not a .npy array", path);
    return store_read(store_open(path), "array");
}

void npy_write(const char *path, const tensor *t) {
    const char *type = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == t->type) type = types[i].name;
    if (!type) fail(HISS_ERROR_ARGUMENT, "%s: numpy has no type %s: convert to F32 first", path, dtype_name(t->type));
    char *dims = copy_string("");
    for (int i = 0; i < t->rank; i++)
        dims = format("%s%lld,%s", dims, (long long) t->shape[i], i + 1 < t->rank ? " " : "");
    const char *order = dtype_size(t->type) == 1 ? "|" : "<";
    char *header = format("{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }", order, type, dims);
    /* The header ends with a newline, and the data begin at a multiple of 64 bytes. */
    size_t length = strlen(header) + 1, padding = (64 - (MAGIC + 4 + length) % 64) % 64;
    writer *w = writer_open(path);
    size_t total = length + padding;
    writer_put(w, magic, MAGIC);
    writer_put(w, (uint8_t[]){1, 0, (uint8_t) total, (uint8_t) (total >> 8)}, 4);
    writer_print(w, "%s%*s\n", header, (int) padding, "");
    writer_put(w, t->data, tensor_bytes(t));
    writer_commit(w);
}
