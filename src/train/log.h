/* What a run of training writes down of itself: log.jsonl in its folder, a line for each report. */
#ifndef HISS_TRAIN_LOG_H
#define HISS_TRAIN_LOG_H

#include <stdio.h>

#include "train/loop.h"

typedef struct {
    const char *folder;
    FILE *file;
} train_log;

/* step: where a run goes on; lines of later steps, which will be done again, go. Below 0: a new log. Closed with the current scope. */
train_log train_log_open(const char *folder, int64_t step);
void log_report(const train_log *l, const train_report *report);

#endif
