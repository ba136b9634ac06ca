/* Python's pickles: the operations of the pickle machine (Python's pickletools.py describes them). */
#include "store/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "store/pickle_machine.h"

static void set_text(pickle_value *v, const uint8_t *data, uint64_t size) {
    char *copy = alloc((size_t) size + 1);
    if (size) memcpy(copy, data, (size_t) size);
    copy[size] = 0;
    v->text = copy;
    v->size = (size_t) size;
}

/* ---- the operations; `how` is the table's second column */

static void op_none(machine *m, int how) { machine_push(m, machine_value(m, (pickle_kind) how)); }

static void op_bool(machine *m, int how) {
    pickle_value *v = machine_value(m, PICKLE_BOOL);
    v->integer = how;
    machine_push(m, v);
}

/* how: bytes of an unsigned number, negative: of a signed one. */
static void op_int(machine *m, int how) {
    pickle_value *v = machine_value(m, PICKLE_INT);
    v->integer = how < 0 ? (int32_t) (uint32_t) machine_take_int(m, -how) : (int64_t) machine_take_int(m, how);
    machine_push(m, v);
}

/* INT "I12\n" (also I00 and I01, false and true), LONG "L12L\n", FLOAT "F1.5\n". */
static void op_number_line(machine *m, int how) {
    const char *line = machine_take_line(m);
    bool is_bool = how == 'I' && (strcmp(line, "00") == 0 || strcmp(line, "01") == 0);
    pickle_value *v = machine_value(m, is_bool ? PICKLE_BOOL : how == 'F' ? PICKLE_FLOAT : PICKLE_INT);
    if (how == 'F') v->number = strtod(line, NULL);
    else v->integer = strtoll(line, NULL, 10);
    machine_push(m, v);
}

/* LONG1, LONG4: a little-endian two's complement number of any length; beyond 64 bits it is kept as a float. */
static void op_long(machine *m, int how) {
    uint64_t size = machine_take_int(m, how);
    const uint8_t *data = machine_take(m, size);
    bool negative = size > 0 && data[size - 1] & 0x80;
    pickle_value *v = machine_value(m, size <= 8 ? PICKLE_INT : PICKLE_FLOAT);
    if (size <= 8) {
        uint64_t bits = negative ? UINT64_MAX : 0;
        for (uint64_t i = size; i-- > 0;) bits = bits << 8 | data[i];
        v->integer = (int64_t) bits;
    } else {
        double value = negative ? -1 : 0;
        for (uint64_t i = size; i-- > 0;) value = value * 256 + data[i];
        v->number = value;
    }
    machine_push(m, v);
}

/* Eight bytes, the highest first. */
static void op_float(machine *m, int how) {
    (void) how;
    const uint8_t *data = machine_take(m, 8);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits = bits << 8 | data[i];
    pickle_value *v = machine_value(m, PICKLE_FLOAT);
    memcpy(&v->number, &bits, sizeof bits);
    machine_push(m, v);
}

/* how: bytes of the length. */
static void op_text(machine *m, int how) {
    uint64_t size = machine_take_int(m, how);
    const uint8_t *data = machine_take(m, size);
    pickle_value *v = machine_value(m, PICKLE_TEXT);
    set_text(v, data, size);
    machine_push(m, v);
}

static void op_bytes(machine *m, int how) {
    op_text(m, how);
    machine_top(m)->kind = PICKLE_BYTES;
}

/* STRING "'..'\n" and UNICODE "..\n"; escapes are left as they stand. */
static void op_text_line(machine *m, int how) {
    const char *line = machine_take_line(m);
    size_t size = strlen(line);
    bool quoted = how == 'S' && size >= 2 && (line[0] == '\'' || line[0] == '"') && line[size - 1] == line[0];
    pickle_value *v = machine_value(m, PICKLE_TEXT);
    set_text(v, (const uint8_t *) line + quoted, size - 2 * quoted);
    machine_push(m, v);
}

/* TUPLE, LIST, DICT, FROZENSET: what lies above the mark. */
static void op_collect(machine *m, int how) {
    pickle_value **items;
    size_t n = machine_pop_mark(m, &items);
    if (how == PICKLE_DICT && n % 2) machine_fail(m, "a key has no value");
    pickle_value *v = machine_value(m, (pickle_kind) how);
    if (n) {
        v->items = NEW_ARRAY(pickle_value *, n);
        memcpy(v->items, items, n * sizeof *items);
    }
    v->count = v->room = n;
    machine_push(m, v);
}

/* TUPLE1 to TUPLE3. */
static void op_tuple(machine *m, int how) {
    pickle_value *v = machine_value(m, PICKLE_TUPLE);
    v->items = NEW_ARRAY(pickle_value *, how);
    v->count = v->room = (size_t) how;
    for (int i = how; i-- > 0;) v->items[i] = machine_pop(m);
    machine_push(m, v);
}

static void append_item(machine *m, pickle_value *to, pickle_value *item) {
    if (to->kind == PICKLE_LIST) pickle_append(to, item);
    else if (to->kind == PICKLE_OBJECT) { /* a subclass of list: under the item's number, as a dict would have it */
        pickle_value *key = machine_value(m, PICKLE_INT);
        key->integer = (int64_t) to->count / 2;
        pickle_append(to, key);
        pickle_append(to, item);
    } else machine_fail(m, "it appends to what is not a list");
}

static void op_append(machine *m, int how) {
    (void) how;
    pickle_value *item = machine_pop(m);
    append_item(m, machine_top(m), item);
}

static void op_appends(machine *m, int how) {
    (void) how;
    pickle_value **items;
    size_t n = machine_pop_mark(m, &items);
    pickle_value *to = machine_top(m);
    for (size_t i = 0; i < n; i++) append_item(m, to, items[i]);
}

static void set_item(machine *m, pickle_value *to, pickle_value *key, pickle_value *value) {
    if (to->kind != PICKLE_DICT && to->kind != PICKLE_OBJECT) machine_fail(m, "it sets an item of what is not a dict");
    pickle_append(to, key);
    pickle_append(to, value);
}

static void op_setitem(machine *m, int how) {
    (void) how;
    pickle_value *value = machine_pop(m), *key = machine_pop(m);
    set_item(m, machine_top(m), key, value);
}

static void op_setitems(machine *m, int how) {
    (void) how;
    pickle_value **items;
    size_t n = machine_pop_mark(m, &items);
    if (n % 2) machine_fail(m, "a key has no value");
    pickle_value *to = machine_top(m);
    for (size_t i = 0; i < n; i += 2) set_item(m, to, items[i], items[i + 1]);
}

static void op_pop(machine *m, int how) {
    (void) how;
    pickle_value **items;
    if (m->mark_count && m->stack.count == machine_floor(m)) machine_pop_mark(m, &items);
    else machine_pop(m);
}

static void op_mark(machine *m, int how) {
    (void) how;
    machine_mark(m);
}

static void op_pop_mark(machine *m, int how) {
    (void) how;
    pickle_value **items;
    machine_pop_mark(m, &items);
}

static void op_dup(machine *m, int how) {
    (void) how;
    machine_push(m, machine_top(m));
}

static uint64_t memo_index(machine *m, int how) {
    return how ? machine_take_int(m, how) : (uint64_t) strtoull(machine_take_line(m), NULL, 10);
}

/* how: bytes of the number, 0: a line of text. */
static void op_put(machine *m, int how) { machine_memo_put(m, memo_index(m, how)); }

static void op_memoize(machine *m, int how) {
    (void) how;
    machine_memo_put(m, m->memo.count);
}

static void op_get(machine *m, int how) {
    uint64_t index = memo_index(m, how);
    if (index >= m->memo.count || !m->memo.items[index]) machine_fail(m, "it recalls what was never kept");
    machine_push(m, m->memo.items[index]);
}

static pickle_value *new_global(machine *m, const char *module, const char *name) {
    pickle_value *v = machine_value(m, PICKLE_GLOBAL);
    v->text = format("%.200s.%.200s", module, name);
    v->size = strlen(v->text);
    return v;
}

static void op_global(machine *m, int how) {
    (void) how;
    const char *module = machine_take_line(m), *name = machine_take_line(m);
    machine_push(m, new_global(m, module, name));
}

static void op_stack_global(machine *m, int how) {
    (void) how;
    const pickle_value *name = machine_pop(m), *module = machine_pop(m);
    if (name->kind != PICKLE_TEXT || module->kind != PICKLE_TEXT) machine_fail(m, "a class has no name");
    machine_push(m, new_global(m, module->text, name->text));
}

/* Calls or stands for a call: nothing runs but the caller's hook. */
static pickle_value *call(machine *m, const pickle_value *callee, const pickle_value *args) {
    pickle_value *v = machine_value(m, PICKLE_OBJECT);
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
    if (how == 3) machine_pop(m);
    const pickle_value *args = machine_pop(m), *callee = machine_pop(m);
    machine_push(m, call(m, callee, args));
}

/* OBJ: mark, class, arguments; INST: class as lines, mark, arguments (protocol 0). */
static void op_instance(machine *m, int how) {
    pickle_value *callee = NULL, **items;
    if (how == 'i') {
        const char *module = machine_take_line(m), *name = machine_take_line(m);
        callee = new_global(m, module, name);
    }
    size_t n = machine_pop_mark(m, &items), first = callee ? 0 : 1;
    if (n < first) machine_fail(m, "an object has no class");
    if (!callee) callee = items[0];
    pickle_value *args = machine_value(m, PICKLE_TUPLE);
    for (size_t i = first; i < n; i++) pickle_append(args, items[i]);
    machine_push(m, call(m, callee, args));
}

/* State is kept with inert objects and dropped for others, such as an OrderedDict's _metadata. */
static void op_build(machine *m, int how) {
    (void) how;
    const pickle_value *state = machine_pop(m);
    pickle_value *to = machine_top(m);
    if (to->kind == PICKLE_OBJECT) to->state = state;
}

static void op_persistent(machine *m, int how) {
    pickle_value *id;
    if (how == 'P') {
        op_text_line(m, 'V');
        id = machine_pop(m);
    } else id = machine_pop(m);
    if (!m->hooks || !m->hooks->persistent) machine_fail(m, "it refers to data outside itself");
    pickle_value *v = machine_value(m, PICKLE_NONE);
    m->hooks->persistent(m->hooks->context, id, v);
    machine_push(m, v);
}

/* PROTO's number, FRAME's length: nothing depends on them. */
static void op_skip(machine *m, int how) { machine_take(m, (uint64_t) how); }

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
        uint8_t code = *machine_take(&m, 1);
        if (!operations[code].run)
            fail(HISS_ERROR_FORMAT, "%s: the pickle is damaged: unknown operation 0x%02x at byte %zu", path, code,
                 (size_t) (m.at - file.data) - 1);
        operations[code].run(&m, operations[code].how);
    }
    *at = (size_t) (m.at - file.data);
    return machine_pop(&m);
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
