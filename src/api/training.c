/* Training of include/hiss.h. */
#include "train/loop.h"

#include "api/border.h"

static void watch(const train_report *report, void *context) {
    const hiss_training *t = context;
    if (t->progress && t->progress(t->context, "training", report->step, report->steps))
        fail(HISS_ERROR_INTERRUPTED, "stopped while training, at step %lld", (long long) report->step);
}

static void train_body(void *options) { train_run(options); }

bool hiss_train(const hiss_training *t, hiss_error *error) {
    train_options o = {.recipe = t->recipe,
                       .data = t->data,
                       .out = t->out,
                       .from = t->from,
                       .distil = t->distil,
                       .lora = t->lora,
                       .resume = t->resume,
                       .steps = t->steps,
                       .minutes = t->minutes,
                       .watch = watch,
                       .context = (void *) t};
    return run_there(train_body, &o, (listener){0}, error);
}
