/* Reading files whole or mapped, and writing them atomically. */
#include "base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/mapped.h"
#include "base/scope.h"

/* ---- reading */

static void close_descriptor(void *number) { close((int) (intptr_t) number); }

static bool is_standard_input(const char *path) { return !strcmp(path, "-"); }

/* Open for reading until the current scope ends. */
static int open_read(const char *path, struct stat *about) {
    int f = is_standard_input(path) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
    if (f < 0) fail_errno(HISS_ERROR_FILE, "%s: cannot be opened", path);
    defer(close_descriptor, (void *) (intptr_t) f);
    if (fstat(f, about)) fail_errno(HISS_ERROR_FILE, "%s: cannot be read", path);
    if (S_ISDIR(about->st_mode)) fail(HISS_ERROR_FILE, "%s: is a folder, a file is wanted", path);
    return f;
}

typedef struct {
    uint8_t *data;
    size_t size;
    int noted;
} mapping;

static void unmap(void *handle) {
    mapping *m = handle;
    if (!m->data) return;
    mapped_remove(m->noted);
    munmap(m->data, m->size);
}

void file_unneeded(const void *data, size_t size) {
    const uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE), first = ((uintptr_t) data + page - 1) / page * page,
                    end = ((uintptr_t) data + size) / page * page;
    if (first < end && mapped_holds((const void *) first, end - first))
        madvise((void *) first, end - first, MADV_DONTNEED); /* of other memory it would be the end */
}

bytes file_map(const char *path) {
    struct stat about;
    if (is_standard_input(path) || (!stat(path, &about) && !S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode)))
        return file_read(path, (size_t) 1 << 36); /* a pipe cannot be mapped */
    mapping *m = NEW(mapping);
    const char *name = copy_string(path);
    defer(unmap, m);
    scope_begin();
    int f = open_read(path, &about);
    if (fault_now(FAULT_READ)) {
        errno = EIO;
        fail_errno(HISS_ERROR_FILE, "%s: cannot be read", path);
    }
    size_t size = (size_t) about.st_size;
    if (size) {
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, f, 0);
        if (data == MAP_FAILED) fail_errno(HISS_ERROR_FILE, "%s: cannot be read", path);
        *m = (mapping){data, size, mapped_add(data, size, name)};
        if (m->noted < 0) {
            munmap(data, size);
            m->data = NULL;
        }
    }
    scope_end();
    if (size && !m->data) return file_read(path, size); /* too many are mapped */
    return (bytes){size ? m->data : (const uint8_t *) "", size};
}

/* Up to size bytes; 0 at the end of the file. */
static size_t read_some(int f, const char *path, uint8_t *to, size_t size) {
    for (;;) {
        ssize_t n = fault_now(FAULT_READ) ? (errno = EIO, -1) : read(f, to, size);
        if (n >= 0) return (size_t) n;
        if (errno != EINTR) fail_errno(HISS_ERROR_FILE, "%s: cannot be read", path);
    }
}

bytes file_read(const char *path, size_t max_size) {
    scope *outer = scope_current(), *inner = scope_begin();
    struct stat about;
    int f = open_read(path, &about);
    size_t known = S_ISREG(about.st_mode) && about.st_size > 0 ? (size_t) about.st_size : 0;
    size_t room = known ? known : 4096, size = 0;
    if (known > max_size)
        fail(HISS_ERROR_FORMAT, "%s: has %zu bytes, more than the %zu expected of such a file", path, known, max_size);
    uint8_t *data = alloc(room + 1);
    for (size_t n; (n = read_some(f, path, data + size, room + 1 - size)) > 0;) {
        size += n;
        if (size > max_size)
            fail(HISS_ERROR_FORMAT, "%s: has more than the %zu bytes expected of such a file", path, max_size);
        if (size <= room) continue;
        uint8_t *more = alloc(2 * room + 1); /* a pipe, or a file that grows */
        memcpy(more, data, size);
        block_release(data);
        data = more;
        room *= 2;
    }
    data[size] = 0;
    require(scope_current() == inner);
    data = block_move(data, outer);
    scope_end();
    return (bytes){data, size};
}

bool file_exists(const char *path) {
    struct stat about;
    return !stat(path, &about) && !S_ISDIR(about.st_mode);
}

/* ---- folders */

bool folder_exists(const char *path) {
    struct stat about;
    return !stat(path, &about) && S_ISDIR(about.st_mode);
}

void folder_make(const char *path) {
    if (!*path || folder_exists(path)) return;
    char *parent = path_folder(path);
    if (strcmp(parent, path) != 0) folder_make(parent);
    if (mkdir(path, 0777) && !(errno == EEXIST && folder_exists(path)))
        fail_errno(HISS_ERROR_FILE, "%s: the folder cannot be made", path);
}

void folder_check_writable(const char *path) {
    struct statvfs space;
    if (!folder_exists(path)) fail(HISS_ERROR_FILE, "%s: there is no such folder", path);
    if (!statvfs(path, &space) && space.f_blocks > 0 && (double) space.f_bavail * (double) space.f_frsize < 65536)
        fail(HISS_ERROR_FILE, "%s: the disk is full: free some space or choose another folder", path);
    char *probe = path_join(path, format(".hiss-probe-%ld", (long) getpid()));
    int f = open(probe, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (f < 0) fail_errno(HISS_ERROR_FILE, "%s: no file can be made in this folder", path);
    close(f);
    unlink(probe);
}

static void close_folder(void *handle) { closedir(handle); }

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

char **folder_list(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) fail_errno(HISS_ERROR_FILE, "%s: the folder cannot be opened", path);
    defer(close_folder, folder);
    size_t n = 0, room = 16;
    char **names = NEW_ARRAY(char *, room + 1);
    for (;;) {
        errno = 0;
        struct dirent *entry = fault_now(FAULT_READ) ? (errno = EIO, NULL) : readdir(folder);
        if (!entry && errno) fail_errno(HISS_ERROR_FILE, "%s: the folder cannot be read", path);
        if (!entry) break;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (n == room) {
            char **more = NEW_ARRAY(char *, 2 * room + 1);
            memcpy(more, names, n * sizeof *names);
            names = more;
            room *= 2;
        }
        names[n++] = copy_string(entry->d_name);
    }
    qsort(names, n, sizeof *names, compare_names);
    return names;
}

/* ---- paths */

char *file_stamp(const char *path) {
    struct stat s;
    if (stat(path, &s)) fail_errno(HISS_ERROR_FILE, "%s: cannot be looked at", path);
    return format("%lld bytes of %lld.%09ld", (long long) s.st_size, (long long) s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

char *path_join(const char *folder, const char *name) {
    if (!*folder || name[0] == '/') return copy_string(name);
    return format("%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", name);
}

const char *path_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The dot before the extension, or the end of the path. */
static const char *extension_of(const char *path) {
    const char *name = path_name(path), *dot = strrchr(name, '.');
    return dot && dot != name ? dot : name + strlen(name);
}

char *path_extension(const char *path) {
    char *text = copy_string(extension_of(path));
    for (char *c = text; *c; c++) *c = (char) tolower((unsigned char) *c);
    return text;
}

char *path_folder(const char *path) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    while (end > 0 && path[end - 1] != '/') end--;
    if (!end) return copy_string(".");
    while (end > 1 && path[end - 1] == '/') end--;
    return format("%.*s", (int) end, path);
}

char *path_stem(const char *path) {
    const char *name = path_name(path);
    return format("%.*s", (int) (extension_of(path) - name), name);
}

/* ---- writing */

struct writer {
    int file;         /* -1 when done */
    char *path;       /* where it will be; links followed */
    char *temporary;  /* NULL for "-" and for what is not a regular file (/dev/null, a pipe) */
    const char *name; /* as the caller gave it, for messages */
    uint8_t *buffer;
    size_t used;
};
enum { WRITER_BUFFER = 1 << 16 };

static void writer_drop(void *handle) {
    writer *w = handle;
    if (w->file < 0) return;
    if (w->file != STDOUT_FILENO) close(w->file);
    if (w->temporary) unlink(w->temporary);
    w->file = -1;
}

static _Noreturn void fail_write(const writer *w) {
    if (errno == ENOSPC || errno == EDQUOT)
        fail(HISS_ERROR_FILE, "%s: the disk is full: free some space or write to another place", w->name);
    fail_errno(HISS_ERROR_FILE, "%s: cannot be written", w->name);
}

/* True when a test wants the disk to be full now. */
static bool full_disk(void) {
    if (!fault_now(FAULT_WRITE)) return false;
    errno = ENOSPC;
    return true;
}

/* The file a link points to, so that it is replaced and not the link. */
static char *follow_links(const char *path) {
    char real[PATH_MAX];
    struct stat about;
    return copy_string(!lstat(path, &about) && S_ISLNK(about.st_mode) && realpath(path, real) ? real : path);
}

writer *writer_open(const char *path) {
    writer *w = NEW(writer);
    *w = (writer){.file = -1, .name = copy_string(path), .buffer = alloc(WRITER_BUFFER)};
    defer(writer_drop, w);
    if (!strcmp(path, "-")) {
        w->name = "standard output";
        w->file = STDOUT_FILENO;
        return w;
    }
    w->path = follow_links(path);
    struct stat about;
    bool there = !stat(w->path, &about);
    if (there && S_ISDIR(about.st_mode)) fail(HISS_ERROR_FILE, "%s: is a folder, a file name is wanted", path);
    if (there && !S_ISREG(about.st_mode)) {
        w->file = open(w->path, O_WRONLY | O_CLOEXEC);
        if (w->file < 0) fail_errno(HISS_ERROR_FILE, "%s: cannot be opened for writing", path);
        return w;
    }
    char *folder = path_folder(w->path);
    if (!folder_exists(folder)) fail(HISS_ERROR_FILE, "%s: there is no folder %s", path, folder);
    char *temporary = path_join(folder, format(".%.200s.tmp-%ld", path_name(w->path), (long) getpid()));
    unlink(temporary); /* of a process that was killed */
    w->file = full_disk() ? -1 : open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->file < 0) fail_write(w);
    w->temporary = temporary;
    return w;
}

static void write_all(writer *w, const uint8_t *data, size_t size) {
    require(w->file >= 0);
    while (size) {
        ssize_t n = full_disk() ? -1 : write(w->file, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_write(w);
        data += n;
        size -= (size_t) n;
    }
}

static void flush(writer *w) {
    write_all(w, w->buffer, w->used);
    w->used = 0;
}

void writer_put(writer *w, const void *data, size_t size) {
    if (size > WRITER_BUFFER - w->used) flush(w);
    if (size > WRITER_BUFFER) {
        write_all(w, data, size);
    } else if (size) {
        memcpy(w->buffer + w->used, data, size);
        w->used += size;
    }
}

void writer_print(writer *w, const char *pattern, ...) {
    char small[512];
    va_list arguments, again;
    va_start(arguments, pattern);
    va_copy(again, arguments);
    int length = vsnprintf(small, sizeof small, pattern, arguments);
    va_end(arguments);
    if (length >= (int) sizeof small) {
        char *text = alloc((size_t) length + 1);
        vsnprintf(text, (size_t) length + 1, pattern, again);
        writer_put(w, text, (size_t) length);
        if (length + 1 >= SCOPE_LARGE) block_release(text);
    } else if (length > 0) {
        writer_put(w, small, (size_t) length);
    }
    va_end(again);
}

const char *writer_path(const writer *w) { return w->temporary; }

/* So that the new name survives a power cut. Some file systems cannot do it: then there is nothing to be done. */
static void sync_folder(const char *path) {
    int f = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f < 0) return;
    (void) !fsync(f);
    close(f);
}

void writer_commit(writer *w) {
    require(w->file >= 0);
    mapped_check(); /* made of a file that is gone: not a result */
    flush(w);
    if (w->temporary) {
        char *folder = path_folder(w->path);
        if (full_disk() || fsync(w->file)) fail_write(w);
        int f = w->file;
        w->file = -1;
        if (full_disk() || close(f) || rename(w->temporary, w->path)) {
            int why = errno;
            unlink(w->temporary);
            errno = why;
            fail_write(w);
        }
        sync_folder(folder);
    } else if (w->file != STDOUT_FILENO) {
        int f = w->file;
        w->file = -1;
        if (close(f)) fail_write(w);
    }
    w->file = -1;
}

void file_write(const char *path, const void *data, size_t size) {
    scope_begin();
    writer *w = writer_open(path);
    writer_put(w, data, size);
    writer_commit(w);
    scope_end();
}
