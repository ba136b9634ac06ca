/* The pickle machine (Python's pickletools.py describes it): a stack, marks on it, and a memo of numbered values. Each
 * operation makes at most one value, so that memory stays a multiple of the file's size. */
#include "store/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "store/entries.h"

typedef struct {
    void **items;
    size_t count, room;
} list;

typedef struct {
    const uint8_t *at, *end;
    size_t size; /* of the pickle at most */
    const char *path;
    const pickle_hooks *hooks;
    list stack, memo;
    size_t *marks, mark_count, mark_room;
    pickle_value *pool;
    size_t pool_left, values;
    bool done;
} machine;

/* Values, and places on the stack: far above any checkpoint's (some 30 a tensor), and a bound on memory (some 100 bytes
 * a value). */
enum { VALUES_MOST = 1 << 22 };

_Noreturn static void fail_damaged(const machine *m, const char *why) {
    fail(HISS_ERROR_FORMAT, "%s: the pickle is damaged: %s", m->path, why);
}

_Noreturn static void fail_large(const machine *m) {
    fail(HISS_ERROR_FORMAT, "%s: the pickle holds more than %d values: not a checkpoint", m->path, VALUES_MOST);
}

/* The old array stays: a copy of its value may still use it. */
static void *grow(const void *old, size_t count, size_t *room, size_t element) {
    size_t more = *room ? 2 * *room : 8;
    void *grown = alloc_zero(more, element);
    if (count) memcpy(grown, old, count * element);
    *room = more;
    return grown;
}

static pickle_value *new_value(machine *m, pickle_kind kind) {
    enum { POOL = 128 };
    if (++m->values > VALUES_MOST) fail_large(m);
    if (m->pool_left == 0) {
        m->pool = NEW_ARRAY(pickle_value, POOL);
        m->pool_left = POOL;
    }
    pickle_value *v = &m->pool[--m->pool_left];
    v->kind = kind;
    return v;
}

static void push(machine *m, pickle_value *v) {
    list *l = &m->stack;
    if (l->count == VALUES_MOST) fail_large(m);
    if (l->count == l->room) l->items = grow(l->items, l->count, &l->room, sizeof *l->items);
    l->items[l->count++] = v;
}

/* Items above the last mark belong to it: nothing pops through a mark. */
static size_t floor_of(const machine *m) { return m->mark_count ? m->marks[m->mark_count - 1] : 0; }

static pickle_value *pop(machine *m) {
    if (m->stack.count <= floor_of(m)) fail_damaged(m, "it takes more than there is");
    return m->stack.items[--m->stack.count];
}

static pickle_value *top(machine *m) {
    if (m->stack.count <= floor_of(m)) fail_damaged(m, "it takes more than there is");
    return m->stack.items[m->stack.count - 1];
}

static void append(pickle_value *sequence, pickle_value *item) {
    if (sequence->count == sequence->room)
        sequence->items = grow(sequence->items, sequence->count, &sequence->room, sizeof *sequence->items);
    sequence->items[sequence->count++] = item;
}

/* ---- the operations' arguments in the byte stream */

static const uint8_t *take(machine *m, uint64_t size) {
    if (size > (uint64_t) (m->end - m->at)) fail_damaged(m, "it is cut short");
    const uint8_t *start = m->at;
    m->at += size;
    return start;
}

static uint64_t take_int(machine *m, int size) { return read_little(take(m, (uint64_t) size), size); }

/* A line, without its newline, as a string. */
static char *take_line(machine *m) {
    const uint8_t *end = memchr(m->at, '\n', (size_t) (m->end - m->at));
    if (!end) fail_damaged(m, "it is cut short");
    char *text = format("%.*s", (int) (end - m->at < 4096 ? end - m->at : 4096), (const char *) m->at);
    m->at = end + 1;
    return text;
}

static void set_text(machine *m, pickle_value *v, const uint8_t *data, uint64_t size) {
    (void) m;
    char *copy = alloc((size_t) size + 1);
    if (size) memcpy(copy, data, (size_t) size);
    copy[size] = 0;
    v->text = copy;
    v->size = (size_t) size;
}

/* ---- the operations; `how` is the table's second column */

static void op_none(machine *m, int how) { push(m, new_value(m, (pickle_kind) how)); }

static void op_bool(machine *m, int how) {
    pickle_value *v = new_value(m, PICKLE_BOOL);
    v->integer = how;
    push(m, v);
}

/* how: bytes of an unsigned number, negative: of a signed one. */
static void op_int(machine *m, int how) {
    pickle_value *v = new_value(m, PICKLE_INT);
    v->integer = how < 0 ? (int32_t) (uint32_t) take_int(m, -how) : (int64_t) take_int(m, how);
    push(m, v);
}

/* INT "I12\n" (also I00 and I01, false and true), LONG "L12L\n", FLOAT "F1.5\n". */
static void op_number_line(machine *m, int how) {
    const char *line = take_line(m);
    bool is_bool = how == 'I' && (strcmp(line, "00") == 0 || strcmp(line, "01") == 0);
    pickle_value *v = new_value(m, is_bool ? PICKLE_BOOL : how == 'F' ? PICKLE_FLOAT : PICKLE_INT);
    if (how == 'F') v->number = strtod(line, NULL);
    else v->integer = strtoll(line, NULL, 10);
    push(m, v);
}

/* LONG1, LONG4: a little-endian two's complement number of any length; beyond 64 bits it is kept as a float. */
static void op_long(machine *m, int how) {
    uint64_t size = take_int(m, how);
    const uint8_t *data = take(m, size);
    bool negative = size > 0 && data[size - 1] & 0x80;
    pickle_value *v = new_value(m, size <= 8 ? PICKLE_INT : PICKLE_FLOAT);
    if (size <= 8) {
        uint64_t bits = negative ? UINT64_MAX : 0;
        for (uint64_t i = size; i-- > 0;) bits = bits << 8 | data[i];
        v->integer = (int64_t) bits;
    } else {
        double value = negative ? -1 : 0;
        for (uint64_t i = size; i-- > 0;) value = value * 256 + data[i];
        v->number = value;
    }
    push(m, v);
}

/* Eight bytes, the highest first. */
static void op_float(machine *m, int how) {
    (void) how;
    const uint8_t *data = take(m, 8);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits = bits << 8 | data[i];
    pickle_value *v = new_value(m, PICKLE_FLOAT);
    memcpy(&v->number, &bits, sizeof bits);
    push(m, v);
}

/* how: bytes of the length. */
static void op_text(machine *m, int how) {
    uint64_t size = take_int(m, how);
    const uint8_t *data = take(m, size);
    pickle_value *v = new_value(m, PICKLE_TEXT);
    set_text(m, v, data, size);
    push(m, v);
}

static void op_bytes(machine *m, int how) {
    op_text(m, how);
    top(m)->kind = PICKLE_BYTES;
}

/* STRING "'..'\n" and UNICODE "..\n"; escapes are left as they stand. */
static void op_text_line(machine *m, int how) {
    const char *line = take_line(m);
    size_t size = strlen(line);
    bool quoted = how == 'S' && size >= 2 && (line[0] == '\'' || line[0] == '"') && line[size - 1] == line[0];
    pickle_value *v = new_value(m, PICKLE_TEXT);
    set_text(m, v, (const uint8_t *) line + quoted, size - 2 * quoted);
    push(m, v);
}

static void op_mark(machine *m, int how) {
    (void) how;
    if (m->mark_count == VALUES_MOST) fail_large(m);
    if (m->mark_count == m->mark_room) m->marks = grow(m->marks, m->mark_count, &m->mark_room, sizeof *m->marks);
    m->marks[m->mark_count++] = m->stack.count;
}

/* Takes what lies above the last mark: *items of the returned number, valid until the next push. */
static size_t pop_mark(machine *m, pickle_value ***items) {
    if (m->mark_count == 0) fail_damaged(m, "a mark is missing");
    size_t first = m->marks[--m->mark_count], n = m->stack.count - first;
    m->stack.count = first;
    *items = n ? (pickle_value **) m->stack.items + first : NULL;
    return n;
}

/* TUPLE, LIST, DICT, FROZENSET: what lies above the mark. */
static void op_collect(machine *m, int how) {
    pickle_value **items;
    size_t n = pop_mark(m, &items);
    if (how == PICKLE_DICT && n % 2) fail_damaged(m, "a key has no value");
    pickle_value *v = new_value(m, (pickle_kind) how);
    if (n) {
        v->items = NEW_ARRAY(pickle_value *, n);
        memcpy(v->items, items, n * sizeof *items);
    }
    v->count = v->room = n;
    push(m, v);
}

/* TUPLE1 to TUPLE3. */
static void op_tuple(machine *m, int how) {
    pickle_value *v = new_value(m, PICKLE_TUPLE);
    v->items = NEW_ARRAY(pickle_value *, how);
    v->count = v->room = (size_t) how;
    for (int i = how; i-- > 0;) v->items[i] = pop(m);
    push(m, v);
}

static void append_item(machine *m, pickle_value *to, pickle_value *item) {
    if (to->kind == PICKLE_LIST) append(to, item);
    else if (to->kind == PICKLE_OBJECT) { /* a subclass of list: under the item's number, as a dict would have it */
        pickle_value *key = new_value(m, PICKLE_INT);
        key->integer = (int64_t) to->count / 2;
        append(to, key);
        append(to, item);
    } else fail_damaged(m, "it appends to what is not a list");
}

static void op_append(machine *m, int how) {
    (void) how;
    pickle_value *item = pop(m);
    append_item(m, top(m), item);
}

static void op_appends(machine *m, int how) {
    (void) how;
    pickle_value **items;
    size_t n = pop_mark(m, &items);
    pickle_value *to = top(m);
    for (size_t i = 0; i < n; i++) append_item(m, to, items[i]);
}

static void set_item(machine *m, pickle_value *to, pickle_value *key, pickle_value *value) {
    if (to->kind != PICKLE_DICT && to->kind != PICKLE_OBJECT) fail_damaged(m, "it sets an item of what is not a dict");
    append(to, key);
    append(to, value);
}

static void op_setitem(machine *m, int how) {
    (void) how;
    pickle_value *value = pop(m), *key = pop(m);
    set_item(m, top(m), key, value);
}

static void op_setitems(machine *m, int how) {
    (void) how;
    pickle_value **items;
    size_t n = pop_mark(m, &items);
    if (n % 2) fail_damaged(m, "a key has no value");
    pickle_value *to = top(m);
    for (size_t i = 0; i < n; i += 2) set_item(m, to, items[i], items[i + 1]);
}

static void op_pop(machine *m, int how) {
    (void) how;
    pickle_value **items;
    if (m->mark_count && m->stack.count == floor_of(m)) pop_mark(m, &items);
    else pop(m);
}

static void op_pop_mark(machine *m, int how) {
    (void) how;
    pickle_value **items;
    pop_mark(m, &items);
}

static void op_dup(machine *m, int how) {
    (void) how;
    push(m, top(m));
}

/* Memo numbers count up by one in all that Python writes; the bound keeps a hostile one from taking memory. */
static void memo_put(machine *m, uint64_t index) {
    if (index >= m->size) fail_damaged(m, "a memo number is out of range");
    while (index >= m->memo.room)
        m->memo.items = grow(m->memo.items, m->memo.room, &m->memo.room, sizeof *m->memo.items);
    m->memo.items[index] = top(m);
    if (index >= m->memo.count) m->memo.count = (size_t) index + 1;
}

static uint64_t memo_index(machine *m, int how) {
    return how ? take_int(m, how) : (uint64_t) strtoull(take_line(m), NULL, 10);
}

/* how: bytes of the number, 0: a line of text. */
static void op_put(machine *m, int how) { memo_put(m, memo_index(m, how)); }

static void op_memoize(machine *m, int how) {
    (void) how;
    memo_put(m, m->memo.count);
}

static void op_get(machine *m, int how) {
    uint64_t index = memo_index(m, how);
    if (index >= m->memo.count || !m->memo.items[index]) fail_damaged(m, "it recalls what was never kept");
    push(m, m->memo.items[index]);
}

static pickle_value *new_global(machine *m, const char *module, const char *name) {
    pickle_value *v = new_value(m, PICKLE_GLOBAL);
    v->text = format("%.200s.%.200s", module, name);
    v->size = strlen(v->text);
    return v;
}

static void op_global(machine *m, int how) {
    (void) how;
    const char *module = take_line(m), *name = take_line(m);
    push(m, new_global(m, module, name));
}

static void op_stack_global(machine *m, int how) {
    (void) how;
    const pickle_value *name = pop(m), *module = pop(m);
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT) fail_damaged(m, "a class has no name");
    push(m, new_global(m, module->text, name->text));
}

/* Calls or stands for a call: nothing runs but the caller's hook. */
static pickle_value *call(machine *m, const pickle_value *callee, const pickle_value *args) {
    pickle_value *v = new_value(m, PICKLE_OBJECT);
    v->class_name = callee->kind == PICKLE_GLOBAL ? callee->text : "an object";
    v->args = args;
    if (callee->kind == PICKLE_GLOBAL && args->kind == PICKLE_TUPLE && m->hooks && m->hooks->call) {
        pickle_value result = {0};
        if (m->hooks->call(m->hooks->context, callee->text, args, &result)) *v = result;
    }
    return v;
}

/* REDUCE, NEWOBJ: callee, args. NEWOBJ_EX: also keyword arguments, which nothing here needs. */
static void op_call(machine *m, int how) {
    if (how == 3) pop(m);
    const pickle_value *args = pop(m), *callee = pop(m);
    push(m, call(m, callee, args));
}

/* OBJ: mark, class, arguments; INST: class as lines, mark, arguments (protocol 0). */
static void op_instance(machine *m, int how) {
    pickle_value *callee = NULL, **items;
    if (how == 'i') {
        const char *module = take_line(m), *name = take_line(m);
        callee = new_global(m, module, name);
    }
    size_t n = pop_mark(m, &items), first = callee ? 0 : 1;
    if (n < first) fail_damaged(m, "an object has no class");
    if (!callee) callee = items[0];
    pickle_value *args = new_value(m, PICKLE_TUPLE);
    for (size_t i = first; i < n; i++) append(args, items[i]);
    push(m, call(m, callee, args));
}

/* State is kept with inert objects and dropped for others, such as an OrderedDict's _metadata. */
static void op_build(machine *m, int how) {
    (void) how;
    const pickle_value *state = pop(m);
    pickle_value *to = top(m);
    if (to->kind == PICKLE_OBJECT) to->state = state;
}

static void op_persistent(machine *m, int how) {
    pickle_value *id;
    if (how == 'P') {
        op_text_line(m, 'V');
        id = pop(m);
    } else id = pop(m);
    if (!m->hooks || !m->hooks->persistent) fail_damaged(m, "it refers to data outside itself");
    pickle_value *v = new_value(m, PICKLE_NONE);
    m->hooks->persistent(m->hooks->context, id, v);
    push(m, v);
}

/* PROTO's number, FRAME's length: nothing depends on them. */
static void op_skip(machine *m, int how) { take(m, (uint64_t) how); }

static void op_stop(machine *m, int how) {
    (void) how;
    m->done = true;
}

static const struct {
    void (*run)(machine *m, int how);
    int how;
} operations[256] = {
    [0x80] = {op_skip, 1},
    [0x95] = {op_skip, 8},
    ['.'] = {op_stop, 0},
    ['('] = {op_mark, 0},
    ['0'] = {op_pop, 0},
    ['1'] = {op_pop_mark, 0},
    ['2'] = {op_dup, 0},
    ['N'] = {op_none, PICKLE_NONE},
    [')'] = {op_none, PICKLE_TUPLE},
    [']'] = {op_none, PICKLE_LIST},
    ['}'] = {op_none, PICKLE_DICT},
    [0x8f] = {op_none, PICKLE_LIST},
    [0x88] = {op_bool, 1},
    [0x89] = {op_bool, 0},
    ['K'] = {op_int, 1},
    ['M'] = {op_int, 2},
    ['J'] = {op_int, -4},
    ['I'] = {op_number_line, 'I'},
    ['L'] = {op_number_line, 'L'},
    ['F'] = {op_number_line, 'F'},
    ['G'] = {op_float, 0},
    [0x8a] = {op_long, 1},
    [0x8b] = {op_long, 4},
    ['U'] = {op_text, 1},
    ['T'] = {op_text, 4},
    [0x8c] = {op_text, 1},
    ['X'] = {op_text, 4},
    [0x8d] = {op_text, 8},
    ['C'] = {op_bytes, 1},
    ['B'] = {op_bytes, 4},
    [0x8e] = {op_bytes, 8},
    [0x96] = {op_bytes, 8},
    ['S'] = {op_text_line, 'S'},
    ['V'] = {op_text_line, 'V'},
    ['t'] = {op_collect, PICKLE_TUPLE},
    ['l'] = {op_collect, PICKLE_LIST},
    ['d'] = {op_collect, PICKLE_DICT},
    [0x91] = {op_collect, PICKLE_LIST},
    [0x85] = {op_tuple, 1},
    [0x86] = {op_tuple, 2},
    [0x87] = {op_tuple, 3},
    ['a'] = {op_append, 0},
    ['e'] = {op_appends, 0},
    [0x90] = {op_appends, 0},
    ['s'] = {op_setitem, 0},
    ['u'] = {op_setitems, 0},
    ['p'] = {op_put, 0},
    ['q'] = {op_put, 1},
    ['r'] = {op_put, 4},
    [0x94] = {op_memoize, 0},
    ['g'] = {op_get, 0},
    ['h'] = {op_get, 1},
    ['j'] = {op_get, 4},
    ['c'] = {op_global, 0},
    [0x93] = {op_stack_global, 0},
    ['R'] = {op_call, 2},
    [0x81] = {op_call, 2},
    [0x92] = {op_call, 3},
    ['o'] = {op_instance, 'o'},
    ['i'] = {op_instance, 'i'},
    ['b'] = {op_build, 0},
    ['Q'] = {op_persistent, 'Q'},
    ['P'] = {op_persistent, 'P'},
};

const pickle_value *pickle_read(bytes file, size_t *at, const char *path, const pickle_hooks *hooks) {
    machine m = {.at = file.data + *at, .end = file.data + file.size, .path = path, .hooks = hooks};
    m.size = file.size - *at;
    while (!m.done) {
        uint8_t code = *take(&m, 1);
        if (!operations[code].run)
            fail(HISS_ERROR_FORMAT, "%s: the pickle is damaged: unknown operation 0x%02x at byte %zu", path, code,
                 (size_t) (m.at - file.data) - 1);
        operations[code].run(&m, operations[code].how);
    }
    *at = (size_t) (m.at - file.data);
    return pop(&m);
}

bool pickle_is_text(const pickle_value *value, const char *text) {
    return value && value->kind == PICKLE_TEXT && strcmp(value->text, text) == 0;
}

const pickle_value *pickle_get(const pickle_value *dict, const char *key) {
    if (!dict || (dict->kind != PICKLE_DICT && dict->kind != PICKLE_OBJECT)) return NULL;
    /* The last one counts, as in Python. */
    for (size_t i = dict->count / 2; i-- > 0;)
        if (pickle_is_text(dict->items[2 * i], key)) return dict->items[2 * i + 1];
    return NULL;
}

bool pickle_int_at(const pickle_value *sequence, size_t i, int64_t *out) {
    if (!sequence || (sequence->kind != PICKLE_TUPLE && sequence->kind != PICKLE_LIST) || i >= sequence->count)
        return false;
    const pickle_value *v = sequence->items[i];
    if (v->kind != PICKLE_INT) return false;
    *out = v->integer;
    return true;
}
