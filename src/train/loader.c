/* The loader's threads: batches are numbered; makers take the next number, the taker takes them in order. A batch does not depend
 * on who makes it. */
#include "train/loader.h"

#include <pthread.h>
#include <string.h>

#include "base/parallel.h"

typedef struct {
    scope *home; /* NULL: not made yet */
    batch *made;
} slot;

struct loader {
    batch_source source;
    random_key key;
    int64_t size;
    double class_dropout;
    pthread_t makers[LOADER_MAKERS];
    int maker_count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    slot ring[LOADER_AHEAD]; /* batch n at n % LOADER_AHEAD */
    int64_t next, wanted;    /* numbers: to be made, to be taken */
    slot taken;              /* with the taker */
    bool stop, failed;
    hiss_error error;
};

typedef struct {
    const loader *owner;
    int64_t number;
    batch *made;
} making;

/* The batch stays in the scope around the border's own. */
static void make(void *argument) {
    making *m = argument;
    const loader *l = m->owner;
    m->made = l->source.draw(l->source.context, l->key, m->number, l->size, l->class_dropout);
    scope_end_merge();
    scope_begin();
}

/* Makes one batch in a scope of its own; false when that failed, with *error set. */
static bool make_one(const loader *l, int64_t number, slot *to, hiss_error *error) {
    making m = {.owner = l, .number = number};
    scope *home = scope_create(), *before = scope_switch(home);
    bool ok = try_run(make, &m, error);
    scope_switch(before);
    if (ok) *to = (slot){home, m.made};
    else scope_destroy(home);
    return ok;
}

static void *run(void *argument) {
    loader *l = argument;
    pthread_mutex_lock(&l->lock);
    while (!l->stop && !l->failed) {
        if (l->next == l->wanted + LOADER_AHEAD) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        int64_t number = l->next++;
        pthread_mutex_unlock(&l->lock);
        slot made = {0};
        hiss_error error;
        bool ok = make_one(l, number, &made, &error);
        pthread_mutex_lock(&l->lock);
        if (ok) l->ring[number % LOADER_AHEAD] = made;
        else if (!l->failed) {
            l->failed = true;
            l->error = error;
        }
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
    for (int i = 0; i < l->maker_count; i++) pthread_join(l->makers[i], NULL);
    for (int i = 0; i < LOADER_AHEAD; i++)
        if (l->ring[i].home) scope_destroy(l->ring[i].home);
    if (l->taken.home) scope_destroy(l->taken.home);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
}

loader *loader_start(batch_source source, random_key key, int64_t first, int64_t size, double class_dropout) {
    loader *l = NEW(loader);
    *l = (loader){
        .source = source, .key = key, .size = size, .class_dropout = class_dropout, .next = first, .wanted = first};
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    defer(loader_stop, l);
    int makers = source.parallel ? threads_get() / 2 : 1;
    makers = makers < 1 ? 1 : makers > LOADER_MAKERS ? LOADER_MAKERS : makers;
    for (; l->maker_count < makers; l->maker_count++)
        if (pthread_create(&l->makers[l->maker_count], NULL, run, l))
            fail(HISS_ERROR_MEMORY, "no thread can be started for loading");
    return l;
}

const batch *loader_next(loader *l) {
    if (l->taken.home) scope_destroy(l->taken.home);
    l->taken = (slot){0};
    slot *wanted = &l->ring[l->wanted % LOADER_AHEAD];
    pthread_mutex_lock(&l->lock);
    while (!wanted->home && !l->failed) pthread_cond_wait(&l->changed, &l->lock);
    if (wanted->home) {
        l->taken = *wanted;
        *wanted = (slot){0};
        l->wanted++;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    if (!l->taken.home) fail_again(&l->error);
    return l->taken.made;
}
