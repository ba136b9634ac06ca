/* See pickle_machine.h. */
#include "store/pickle_machine.h"

#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "store/entries.h"

/* Values, and places on the stack: far above any checkpoint's (some 30 a tensor), and a bound on memory (some 100 bytes
 * a value). */
enum { VALUES_MOST = 1 << 22 };

_Noreturn void machine_fail(const machine *m, const char *why) {
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

pickle_value *machine_value(machine *m, pickle_kind kind) {
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

void machine_push(machine *m, pickle_value *v) {
    value_list *l = &m->stack;
    if (l->count == VALUES_MOST) fail_large(m);
    if (l->count == l->room) l->items = grow(l->items, l->count, &l->room, sizeof *l->items);
    l->items[l->count++] = v;
}

size_t machine_floor(const machine *m) { return m->mark_count ? m->marks[m->mark_count - 1] : 0; }

pickle_value *machine_pop(machine *m) {
    if (m->stack.count <= machine_floor(m)) machine_fail(m, "it takes more than there is");
    return m->stack.items[--m->stack.count];
}

pickle_value *machine_top(machine *m) {
    if (m->stack.count <= machine_floor(m)) machine_fail(m, "it takes more than there is");
    return m->stack.items[m->stack.count - 1];
}

void pickle_append(pickle_value *sequence, pickle_value *item) {
    if (sequence->count == sequence->room)
        sequence->items = grow(sequence->items, sequence->count, &sequence->room, sizeof *sequence->items);
    sequence->items[sequence->count++] = item;
}

/* ---- the operations' arguments in the byte stream */

const uint8_t *machine_take(machine *m, uint64_t size) {
    if (size > (uint64_t) (m->end - m->at)) machine_fail(m, "it is cut short");
    const uint8_t *start = m->at;
    m->at += size;
    return start;
}

uint64_t machine_take_int(machine *m, int size) { return read_little(machine_take(m, (uint64_t) size), size); }

char *machine_take_line(machine *m) {
    const uint8_t *end = memchr(m->at, '\n', (size_t) (m->end - m->at));
    if (!end) machine_fail(m, "it is cut short");
    char *text = format("%.*s", (int) (end - m->at < 4096 ? end - m->at : 4096), (const char *) m->at);
    m->at = end + 1;
    return text;
}

void machine_mark(machine *m) {
    if (m->mark_count == VALUES_MOST) fail_large(m);
    if (m->mark_count == m->mark_room) m->marks = grow(m->marks, m->mark_count, &m->mark_room, sizeof *m->marks);
    m->marks[m->mark_count++] = m->stack.count;
}

size_t machine_pop_mark(machine *m, pickle_value ***items) {
    if (m->mark_count == 0) machine_fail(m, "a mark is missing");
    size_t first = m->marks[--m->mark_count], n = m->stack.count - first;
    m->stack.count = first;
    *items = n ? m->stack.items + first : NULL;
    return n;
}

/* Memo numbers count up by one in all that Python writes; the bound keeps a hostile one from taking memory. */
void machine_memo_put(machine *m, uint64_t index) {
    if (index >= m->size) machine_fail(m, "a memo number is out of range");
    while (index >= m->memo.room)
        m->memo.items = grow(m->memo.items, m->memo.room, &m->memo.room, sizeof *m->memo.items);
    m->memo.items[index] = machine_top(m);
    if (index >= m->memo.count) m->memo.count = (size_t) index + 1;
}
