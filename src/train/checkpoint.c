/* Writing and reading checkpoints: see checkpoint.h. */
#include "train/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "nn/bind.h"

enum { KEPT = 2 };

/* --- folders and links --- */

static void sync_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return;
    (void) fsync(fd); /* not every file system knows it; the rename below is still atomic */
    close(fd);
}

/* A folder of files, one level deep; what cannot be removed stays. */
static void remove_folder(const char *path) {
    for (char **names = folder_list(path); *names; names++) unlink(path_join(path, *names));
    rmdir(path);
}

/* The link `name` in `folder` to `target`, replaced at once. */
static void point(const char *folder, const char *name, const char *target) {
    char *path = path_join(folder, name), *fresh = path_join(folder, format(".%s.new", name)), old[4096];
    ssize_t length = readlink(path, old, sizeof old - 1);
    if (length >= 0) {
        old[length] = 0;
        if (!strcmp(old, target)) return;
    }
    unlink(fresh);
    if (symlink(target, fresh)) fail_errno(HISS_ERROR_FILE, "%s: cannot be linked to %s", fresh, target);
    if (rename(fresh, path)) fail_errno(HISS_ERROR_FILE, "%s: cannot be replaced", path);
    sync_folder(folder);
}

/* What a killed run left: half-written folders, and whole ones that `latest` was not switched to. */
static void remove_unfinished(const char *out, const char *folder) {
    char latest[4096] = "";
    ssize_t length = readlink(path_join(out, "latest"), latest, sizeof latest - 1);
    latest[length > 0 ? length : 0] = 0;
    for (char **names = folder_list(folder); *names; names++) {
        bool newer = starts_with(*names, "step-") && strcmp(*names, path_name(latest)) > 0;
        if (newer || starts_with(*names, ".writing-")) remove_folder(path_join(folder, *names));
    }
}

void checkpoint_prepare(const char *out, int64_t bytes) {
    char *folder = path_join(out, "checkpoints");
    folder_make(folder);
    folder_check_writable(out);
    folder_check_writable(folder);
    remove_unfinished(out, folder);
    struct statvfs disk;
    if (statvfs(folder, &disk)) return;
    uint64_t room = (uint64_t) disk.f_bavail * disk.f_frsize, needed = (uint64_t) bytes * (KEPT + 1);
    if (room < needed)
        fail(HISS_ERROR_FILE, "%s: %" PRIu64 " MiB are free, checkpoints need %" PRIu64 " MiB", out, room >> 20,
             (needed >> 20) + 1);
}

/* --- writing --- */

static void set_text(json_t *o, const char *key, char *text) { json_object_set_new(o, key, json_string(text)); }

/* Numbers as text that gives back every bit. */
static void write_state(const char *path, const optimizer *o, const optimizer *rival, const progress_state *s) {
    json_t *m = json_make_object();
    set_text(m, "step", format("%" PRId64, s->step));
    set_text(m, "updates", format("%" PRId64, optimizer_updates(o)));
    set_text(m, "loss_sum", format("%a", s->loss_sum));
    set_text(m, "loss_count", format("%" PRId64, s->loss_count));
    set_text(m, "held_out", format("%a", s->held_out));
    set_text(m, "seed", format("%" PRIu64, s->seed));
    set_text(m, "data", format("%" PRIu64, s->data));
    size_t n, more = 0;
    named_tensor *items = optimizer_state(o, &n), *others = rival ? optimizer_state(rival, &more) : NULL;
    if (rival) {
        set_text(m, "rival_updates", format("%" PRId64, optimizer_updates(rival)));
        set_text(m, "rival_sum", format("%a", s->rival_sum));
        set_text(m, "rival_count", format("%" PRId64, s->rival_count));
    }
    named_tensor *all = NEW_ARRAY(named_tensor, n + more + 1);
    memcpy(all, items, n * sizeof *all);
    if (more) memcpy(all + n, others, more * sizeof *all);
    safetensors_write(path, all, n + more, m);
}

static void write_own_weights(const saved_model *m, const char *path) { params_save(m->weights, path, F32, NULL); }
static void write_own_adapters(const saved_model *m, const char *path) { lora_save(m->adapters, path); }
const model_layout OWN_LAYOUT = {"config.json", "weights.safetensors", true, write_own_weights, write_own_adapters};

static const char ADAPTERS[] = "adapter.safetensors";

static void write_files(const char *folder, const saved_model *m, optimizer *o, const progress_state *state) {
    char *text = json_text(m->settings.value);
    file_write(path_join(folder, m->layout->settings), text, strlen(text));
    optimizer_swap_average(o);
    m->layout->write_weights(m, path_join(folder, m->layout->weights));
    if (m->adapters) m->layout->write_adapters(m, path_join(folder, ADAPTERS));
    optimizer_swap_average(o);
    write_state(path_join(folder, "state.safetensors"), o, m->rival, state);
}

static void remove_old(const char *folder) {
    char **names = folder_list(folder);
    size_t n = 0, complete = 0;
    for (; names[n]; n++) complete += starts_with(names[n], "step-");
    for (size_t i = 0; i < n && complete > KEPT; i++)
        if (starts_with(names[i], "step-")) {
            remove_folder(path_join(folder, names[i]));
            complete--;
        }
}

char *checkpoint_write(const char *out, const saved_model *m, optimizer *o, const progress_state *state) {
    char *folder = path_join(out, "checkpoints"), *name = format("step-%010" PRId64, state->step);
    char *path = path_join(folder, name);
    scope_begin();
    if (!folder_exists(path)) {
        char *fresh = path_join(folder, format(".writing-%s", name));
        if (folder_exists(fresh)) remove_folder(fresh);
        folder_make(fresh);
        write_files(fresh, m, o, state);
        sync_folder(fresh);
        if (rename(fresh, path)) fail_errno(HISS_ERROR_FILE, "%s: cannot be renamed to %s", fresh, path);
        sync_folder(folder);
    }
    /* Links into what is not there yet, then all of it at once. */
    point(out, m->layout->settings, format("latest/%s", m->layout->settings));
    point(out, m->layout->weights, format("latest/%s", m->layout->weights));
    if (m->adapters) point(out, ADAPTERS, format("latest/%s", ADAPTERS));
    point(out, "latest", format("checkpoints/%s", name));
    remove_old(folder);
    scope_end();
    return path;
}

/* --- reading --- */

char *checkpoint_latest(const char *out) {
    char *path = path_join(out, "latest");
    return file_exists(path_join(path, "state.safetensors")) ? path : NULL;
}

static const char *need(config m, const char *key) { return config_need_string(m, key); }

/* What fitting measured is not the optimiser's: it comes from the weights. */
static void restore_measured(const char *path, params *p) {
    const store *s = store_open(path);
    for (size_t i = 0; i < p->count; i++) {
        param *item = p->items[i];
        if (item->trainable) continue;
        const tensor *value = store_find(s, item->name) ? tensor_to_f32(store_read(s, item->name)) : NULL;
        if (!value || count(value) != count(item->value))
            fail(HISS_ERROR_FORMAT, "%s: %s is missing or of another shape", path, item->name);
        memcpy(f32(item->value), value->data, tensor_bytes(value));
        param_changed(item);
    }
}

progress_state checkpoint_restore(const char *folder, const saved_model *model, optimizer *o) {
    scope_begin();
    config saved = config_load(path_join(folder, model->layout->settings));
    if (!json_equal(saved.value, model->settings.value))
        fail(HISS_ERROR_ARGUMENT,
             "%s: the run was made with another recipe or other classes: %s differs; train "
             "into another folder",
             folder, model->layout->settings);
    const store *s = store_open(path_join(folder, "state.safetensors"));
    config m = store_metadata(s);
    progress_state p = {
        .step = strtoll(need(m, "step"), NULL, 10),
        .loss_sum = strtod(need(m, "loss_sum"), NULL),
        .loss_count = strtoll(need(m, "loss_count"), NULL, 10),
        .held_out = strtod(need(m, "held_out"), NULL),
        .seed = strtoull(need(m, "seed"), NULL, 10),
        .data = strtoull(need(m, "data"), NULL, 10),
    };
    if (p.step < 0) fail(HISS_ERROR_FORMAT, "%s: step %" PRId64 " in state.safetensors", folder, p.step);
    if (model->layout->frozen) restore_measured(path_join(folder, model->layout->weights), model->weights);
    optimizer_restore(o, s, strtoll(need(m, "updates"), NULL, 10));
    if (model->rival) {
        p.rival_sum = strtod(need(m, "rival_sum"), NULL);
        p.rival_count = strtoll(need(m, "rival_count"), NULL, 10);
        optimizer_restore(model->rival, s, strtoll(need(m, "rival_updates"), NULL, 10));
    }
    scope_end();
    return p;
}
