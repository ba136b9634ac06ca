/* The loader thread: a ring of batches between one maker and one taker. */
#include "train/loader.h"

#include <pthread.h>
#include <string.h>

typedef struct {
    scope *home;
    batch *made;
} slot;

struct loader {
    batch_source source;
    random_key key;
    int64_t next, size;
    double class_dropout;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    slot ring[LOADER_AHEAD];
    int filled, first; /* slots with a batch; the oldest */
    slot taken;        /* with the taker */
    bool stop, failed;
    hiss_error error;
};

typedef struct {
    loader *owner;
    batch *made;
} making;

/* The batch stays in the scope around the border's own. */
static void make(void *argument) {
    making *m = argument;
    loader *l = m->owner;
    m->made = l->source.draw(l->source.context, l->key, l->next, l->size, l->class_dropout);
    scope_end_merge();
    scope_begin();
}

/* Makes one batch in a scope of its own; false when that failed, with l->error set. */
static bool make_one(loader *l, slot *to) {
    making m = {.owner = l};
    hiss_error error;
    scope *home = scope_create(), *before = scope_switch(home);
    bool ok = try_run(make, &m, &error);
    scope_switch(before);
    if (ok) {
        *to = (slot){home, m.made};
        return true;
    }
    scope_destroy(home);
    l->error = error;
    return false;
}

static void *run(void *argument) {
    loader *l = argument;
    pthread_mutex_lock(&l->lock);
    while (!l->stop && !l->failed) {
        if (l->filled == LOADER_AHEAD) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        pthread_mutex_unlock(&l->lock);
        slot made;
        bool ok = make_one(l, &made);
        pthread_mutex_lock(&l->lock);
        if (ok) {
            l->ring[(l->first + l->filled++) % LOADER_AHEAD] = made;
            l->next++;
        }
        l->failed = !ok;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static void loader_stop(void *argument) {
    loader *l = argument;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    for (int i = 0; i < l->filled; i++) scope_destroy(l->ring[(l->first + i) % LOADER_AHEAD].home);
    if (l->taken.home) scope_destroy(l->taken.home);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
}

loader *loader_start(batch_source source, random_key key, int64_t first, int64_t size, double class_dropout) {
    loader *l = NEW(loader);
    *l = (loader){.source = source, .key = key, .next = first, .size = size, .class_dropout = class_dropout};
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    if (pthread_create(&l->thread, NULL, run, l)) fail(HISS_ERROR_MEMORY, "no thread can be started for loading");
    defer(loader_stop, l);
    return l;
}

const batch *loader_next(loader *l) {
    if (l->taken.home) scope_destroy(l->taken.home);
    l->taken = (slot){0};
    pthread_mutex_lock(&l->lock);
    while (!l->filled && !l->failed) pthread_cond_wait(&l->changed, &l->lock);
    bool got = l->filled > 0;
    if (got) {
        l->taken = l->ring[l->first];
        l->first = (l->first + 1) % LOADER_AHEAD;
        l->filled--;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    if (!got) fail_again(&l->error);
    return l->taken.made;
}
