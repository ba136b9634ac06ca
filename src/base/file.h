/* Files: read whole or mapped, written atomically (a temporary file beside the target, renamed when complete). */
#ifndef HISS_BASE_FILE_H
#define HISS_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *data;
    size_t size;
} bytes;

/* The file's contents, memory-mapped, valid in the current scope. An empty file gives size 0. "-" is standard input, here and in
 * file_read. */
bytes file_map(const char *path);
/* Pages of a mapped file that will hardly be read again are given back to the system; read, they come again. Other memory stays
 * as it is. */
void file_unneeded(const void *data, size_t size);
/* The file's contents as a string (a 0 byte follows data[size - 1]); larger than max_size is an error. */
bytes file_read(const char *path, size_t max_size);

bool file_exists(const char *path);
bool folder_exists(const char *path);
/* Makes the folder and its parents; fine if it is there already. */
void folder_make(const char *path);
/* Fails now if a file could not be created in this folder (missing, read-only, no space). */
void folder_check_writable(const char *path);
/* Names in a folder, sorted by bytes, without . and ..; NULL-terminated, in the current scope. */
char **folder_list(const char *path);

/* Changes when a file is written anew: its size and time. */
char *file_stamp(const char *path);

char *path_join(const char *folder, const char *name);
/* Extension with the dot, lower case ("" if none); the last component; all before it ("." if nothing). */
char *path_extension(const char *path);
const char *path_name(const char *path);
char *path_folder(const char *path);
/* The last component without its extension. */
char *path_stem(const char *path);

/* A file being written under a temporary name. Nothing appears under `path` until writer_commit; a scope that ends
 * before that removes the temporary file. "-" writes to standard output. */
typedef struct writer writer;
writer *writer_open(const char *path);
void writer_put(writer *w, const void *data, size_t size);
void writer_print(writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The temporary file's name, for libraries that open files by name themselves; NULL for "-". */
const char *writer_path(const writer *w);
/* Flushes, syncs and renames into place. */
void writer_commit(writer *w);
/* One call for small files. */
void file_write(const char *path, const void *data, size_t size);

#endif
