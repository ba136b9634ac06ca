#include "base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/scope.h"

/* --- reading --- */

typedef struct {
    void *data;
    size_t size;
} mapping;

static void unmap(void *handle) {
    mapping *m = handle;
    munmap(m->data, m->size);
}

static void close_descriptor(void *handle) { close((int) (intptr_t) handle); }

/* Opened for reading until the current scope ends; *size is its length. Only regular files have one. */
static int open_regular(const char *path, size_t *size) {
    struct stat s;
    int fd = fault_now(FAULT_READ) ? (errno = EIO, -1) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail_errno(HISS_ERROR_FILE, "%s: cannot be opened", path);
    defer(close_descriptor, (void *) (intptr_t) fd);
    if (fstat(fd, &s) < 0) fail_errno(HISS_ERROR_FILE, "%s: cannot be read", path);
    if (!S_ISREG(s.st_mode)) fail(HISS_ERROR_FILE, "%s: not a file", path);
    *size = (size_t) s.st_size;
    return fd;
}

bytes file_map(const char *path) {
    size_t size;
    mapping *m = NEW(mapping);
    scope *outer = scope_current();
    scope_begin();
    int fd = open_regular(path, &size);
    if (size) {
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) fail_errno(HISS_ERROR_FILE, "%s: cannot be mapped", path);
        *m = (mapping){data, size};
    }
    scope_end();
    require(scope_current() == outer);
    if (size) defer(unmap, m);
    return (bytes){m->data, size};
}

bytes file_read(const char *path, size_t max_size) {
    size_t size, done = 0;
    struct stat s;
    if (stat(path, &s) == 0 && S_ISREG(s.st_mode) && (size_t) s.st_size > max_size)
        fail(HISS_ERROR_FORMAT, "%s: %lld bytes; at most %zu are read", path, (long long) s.st_size, max_size);
    char *data = alloc((stat(path, &s) == 0 && S_ISREG(s.st_mode) ? (size_t) s.st_size : 0) + 1);
    scope_begin();
    int fd = open_regular(path, &size);
    if (size > (size_t) s.st_size) size = (size_t) s.st_size; /* it grew meanwhile */
    while (done < size) {
        ssize_t n = fault_now(FAULT_READ) ? (errno = EIO, -1) : read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_errno(HISS_ERROR_FILE, "%s: cannot be read", path);
        if (n == 0) break;
        done += (size_t) n;
    }
    scope_end();
    data[done] = 0;
    return (bytes){(const uint8_t *) data, done};
}

/* --- names --- */

bool file_exists(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

bool folder_exists(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

void folder_make(const char *path) {
    if (folder_exists(path)) return;
    char *parent = path_folder(path);
    if (strcmp(parent, path) != 0 && !folder_exists(parent)) folder_make(parent);
    if (mkdir(path, 0777) < 0 && errno != EEXIST) fail_errno(HISS_ERROR_FILE, "%s: cannot make this folder", path);
    if (!folder_exists(path)) fail(HISS_ERROR_FILE, "%s: is a file, a folder was expected", path);
}

void folder_check_writable(const char *path) {
    if (!folder_exists(path)) fail(HISS_ERROR_FILE, "%s: no such folder", path);
    char *probe = format("%s/.hiss-probe-%d", path, (int) getpid());
    int fd = open(probe, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) fail_errno(HISS_ERROR_FILE, "%s: cannot write in this folder", path);
    close(fd);
    unlink(probe);
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *) a, *(char *const *) b); }
static void close_folder(void *d) { closedir(d); }

char **folder_list(const char *path) {
    DIR *d = opendir(path);
    if (!d) fail_errno(HISS_ERROR_FILE, "%s: cannot be listed", path);
    defer(close_folder, d);
    size_t count = 0, capacity = 64;
    char **names = NEW_ARRAY(char *, capacity);
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (count + 1 == capacity) {
            char **longer = NEW_ARRAY(char *, 2 * capacity);
            memcpy(longer, names, count * sizeof *names);
            names = longer;
            capacity *= 2;
        }
        names[count++] = copy_string(e->d_name);
    }
    qsort(names, count, sizeof *names, by_bytes);
    return names;
}

char *path_join(const char *folder, const char *name) {
    size_t n = strlen(folder);
    return format("%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
}

const char *path_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_extension(const char *path) {
    const char *name = path_name(path), *dot = strrchr(name, '.');
    char *extension = copy_string(dot && dot != name ? dot : "");
    for (char *c = extension; *c; c++) *c = (char) tolower((unsigned char) *c);
    return extension;
}

char *path_folder(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--; /* "a/b/" is in "a" */
    while (n && path[n - 1] != '/') n--;
    while (n > 1 && path[n - 1] == '/') n--;
    return n ? format("%.*s", (int) n, path) : copy_string(".");
}

char *path_stem(const char *path) {
    const char *name = path_name(path), *dot = strrchr(name, '.');
    return dot && dot != name ? format("%.*s", (int) (dot - name), name) : copy_string(name);
}

/* --- writing --- */

struct writer {
    FILE *file;
    const char *path, *temporary; /* NULL temporary: standard output */
    bool done;
};

static void abandon(void *handle) {
    writer *w = handle;
    if (w->file && w->file != stdout) fclose(w->file);
    if (w->temporary && !w->done) unlink(w->temporary);
}

static void write_failed(const writer *w) {
    const char *name = w->temporary ? w->path : "standard output";
    if (errno == ENOSPC) fail(HISS_ERROR_FILE, "%s: the disk is full; nothing was written under this name", name);
    fail_errno(HISS_ERROR_FILE, "%s: cannot be written", name);
}

writer *writer_open(const char *path) {
    writer *w = NEW(writer);
    w->path = copy_string(path);
    if (!strcmp(path, "-")) {
        w->file = stdout;
        return w;
    }
    if (folder_exists(path)) fail(HISS_ERROR_FILE, "%s: is a folder, a file name was expected", path);
    w->temporary = format("%s/.%s.tmp-%d", path_folder(path), path_name(path), (int) getpid());
    defer(abandon, w);
    w->file = fault_now(FAULT_WRITE) ? (errno = ENOSPC, NULL) : fopen(w->temporary, "wb");
    if (!w->file) write_failed(w);
    return w;
}

void writer_put(writer *w, const void *data, size_t size) {
    if (fault_now(FAULT_WRITE)) {
        errno = ENOSPC;
        write_failed(w);
    }
    if (size && fwrite(data, 1, size, w->file) != size) write_failed(w);
}

void writer_print(writer *w, const char *pattern, ...) {
    va_list arguments;
    va_start(arguments, pattern);
    if (fault_now(FAULT_WRITE)) {
        va_end(arguments);
        errno = ENOSPC;
        write_failed(w);
    }
    int n = vfprintf(w->file, pattern, arguments);
    va_end(arguments);
    if (n < 0) write_failed(w);
}

const char *writer_path(const writer *w) { return w->temporary; }

void writer_commit(writer *w) {
    if (fault_now(FAULT_WRITE)) {
        errno = ENOSPC;
        write_failed(w);
    }
    if (fflush(w->file) != 0) write_failed(w);
    if (!w->temporary) return;
    /* fsync refuses some file systems' files; the data is complete all the same. */
    if (fsync(fileno(w->file)) != 0 && errno != EINVAL && errno != ENOSYS) write_failed(w);
    FILE *file = w->file;
    w->file = NULL;
    if (fclose(file) != 0) write_failed(w);
    if (rename(w->temporary, w->path) != 0) write_failed(w);
    w->done = true;
}

void file_write(const char *path, const void *data, size_t size) {
    scope_begin();
    writer *w = writer_open(path);
    writer_put(w, data, size);
    writer_commit(w);
    scope_end();
}
