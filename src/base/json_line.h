/* Where in a document a value stands, for messages about files that people write by hand. */
#ifndef HISS_BASE_JSON_LINE_H
#define HISS_BASE_JSON_LINE_H

/* " (line 7)" for where = "file: layers[2].gain": the line of that key or element. "" where there is none, where no path
 * follows the file's name, or text is NULL. The text is a document that has been read without errors. */
const char *json_line(const char *text, const char *where);

#endif
