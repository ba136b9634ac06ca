#include "base/mapped.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

/* A signal's handler can take no lock: it reads atomics of a table of fixed size. A slot is taken and left under the lock. */
enum { MOST_MAPPINGS = 1024, LONGEST = 480 };
static struct {
    _Atomic uintptr_t begin; /* 0: free; set last */
    atomic_size_t size;
    atomic_bool lost;
    const char *path;
} slots[MOST_MAPPINGS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool any_lost; /* ever: what nearly always is false is asked first */
static char left[LONGEST];   /* under the lock: a lost file that was unmapped before anyone was told */
static size_t page;
static struct sigaction before;

int mapped_add(void *data, size_t size, const char *path) {
    pthread_mutex_lock(&lock);
    int i = 0;
    while (i < MOST_MAPPINGS && atomic_load(&slots[i].begin)) i++;
    if (i < MOST_MAPPINGS) {
        slots[i].path = path;
        atomic_store(&slots[i].lost, false);
        atomic_store(&slots[i].size, size);
        atomic_store(&slots[i].begin, (uintptr_t) data);
    }
    pthread_mutex_unlock(&lock);
    return i < MOST_MAPPINGS ? i : -1;
}

void mapped_remove(int mapping) {
    pthread_mutex_lock(&lock);
    if (atomic_load(&slots[mapping].lost)) snprintf(left, sizeof left, "%s", slots[mapping].path);
    atomic_store(&slots[mapping].begin, 0);
    pthread_mutex_unlock(&lock);
}

/* The slot whose mapping holds these bytes, or -1. */
static int find(uintptr_t at, size_t size) {
    for (int i = 0; i < MOST_MAPPINGS; i++) {
        const uintptr_t begin = atomic_load(&slots[i].begin);
        if (begin && at >= begin && at + size <= begin + atomic_load(&slots[i].size)) return i;
    }
    return -1;
}

bool mapped_holds(const void *data, size_t size) { return find((uintptr_t) data, size) >= 0; }

/* A page of zeros in the place of the one that is gone; the read goes on there. Other faults end the process as they did. */
static void on_fault(int number, siginfo_t *about, void *context) {
    (void) number, (void) context;
    const int why = errno, i = find((uintptr_t) about->si_addr, 1);
    void *place = (void *) ((uintptr_t) about->si_addr & ~(uintptr_t) (page - 1));
    if (i >= 0 && mmap(place, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
        atomic_store(&slots[i].lost, true);
        atomic_store(&any_lost, true);
    } else {
        sigaction(SIGBUS, &before, NULL); /* the fault comes again */
    }
    errno = why;
}

void mapped_guard(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    page = (size_t) sysconf(_SC_PAGESIZE);
    sigaction(SIGBUS, &action, &before);
}

/* The file that was found cut, until it is unmapped and told once; NULL: none. */
static const char *find_lost(void) {
    static _Thread_local char name[LONGEST];
    if (!atomic_load(&any_lost)) return NULL;
    pthread_mutex_lock(&lock);
    snprintf(name, sizeof name, "%s", left);
    left[0] = 0;
    for (int i = 0; !*name && i < MOST_MAPPINGS; i++)
        if (atomic_load(&slots[i].begin) && atomic_load(&slots[i].lost))
            snprintf(name, sizeof name, "%s", slots[i].path);
    pthread_mutex_unlock(&lock);
    return *name ? name : NULL;
}

bool mapped_error(hiss_error *error) {
    const char *lost = find_lost();
    if (!lost) return false;
    error->code = HISS_ERROR_FILE;
    snprintf(error->message, sizeof error->message,
             "%s: was cut short while hiss was reading it: run again when the whole file is there", lost);
    return true;
}

void mapped_check(void) {
    hiss_error error;
    if (mapped_error(&error)) fail_again(&error);
}
