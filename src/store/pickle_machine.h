/* The pickle machine: a stack, marks on it, a memo of numbered values, and the bytes it reads. Each operation makes at most one value, so
 * that memory stays a multiple of the file's size; what is damaged fails with the file's name. */
#ifndef HISS_STORE_PICKLE_MACHINE_H
#define HISS_STORE_PICKLE_MACHINE_H

#include "store/pickle.h"

typedef struct {
    pickle_value **items;
    size_t count, room;
} value_list;

typedef struct {
    const uint8_t *at, *end;
    size_t size; /* of the pickle at most */
    const char *path;
    const pickle_hooks *hooks;
    value_list stack, memo;
    size_t *marks, mark_count, mark_room;
    pickle_value *pool;
    size_t pool_left, values;
    bool done;
} machine;

_Noreturn void machine_fail(const machine *m, const char *why);

pickle_value *machine_value(machine *m, pickle_kind kind);
void machine_push(machine *m, pickle_value *v);
/* Items above the last mark belong to it: nothing pops through a mark. */
size_t machine_floor(const machine *m);
pickle_value *machine_pop(machine *m);
pickle_value *machine_top(machine *m);
void machine_mark(machine *m);
/* Takes what lies above the last mark: *items of the returned number, valid until the next push. */
size_t machine_pop_mark(machine *m, pickle_value ***items);
void machine_memo_put(machine *m, uint64_t index);
void pickle_append(pickle_value *sequence, pickle_value *item);

/* The next bytes: so many, a little-endian number of so many, a line without its newline. */
const uint8_t *machine_take(machine *m, uint64_t size);
uint64_t machine_take_int(machine *m, int size);
char *machine_take_line(machine *m);

#endif
