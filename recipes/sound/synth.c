/* Synthesised sounds for the sound recipe. Used by ./fetch; needs libsndfile.
 *
 *   synth list                       class and number of every generator
 *   synth one NUMBER SEED OUT.flac   one sound; its captions are printed
 *   synth batch BATCH FOLDER [FIRST] a share of every generator (from number FIRST), in FOLDER/CLASS/...; rows of the manifest
 *                                    are printed
 */
#include "synth.h"

#include <sys/stat.h>

#include "clip.h"

static const int counts[] = {30, 12, 120}; /* clips of a batch by generator.texture: events, textures, scenes */

static void list(void) {
    for (int k = 0; k < generator_count; k++) printf("%d\t%s\n", k, generators[k].class);
}

static void one(int k, uint64_t seed, const char *path) {
    sound s;
    synth_make(&s, &generators[k], seed);
    write_clip(s.x, clean(s.x, (size_t) s.n), path);
    printf("%s\n", s.caption);
    synth_end(&s);
}

static void batch(int number, const char *folder, int first) {
    for (int k = first; k < generator_count; k++) {
        const generator *g = &generators[k];
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, g->class);
        mkdir(path, 0777);
        for (int i = 0; i < counts[g->texture]; i++) {
            int seed = number * counts[g->texture] + i;
            char file[200];
            sound s;
            synth_make(&s, g, (uint64_t) seed);
            size_t n = clean(s.x, (size_t) s.n);
            snprintf(file, sizeof file, "%s/synth-%d-%04d.flac", g->class, k, seed);
            snprintf(path, sizeof path, "%s/%s", folder, file);
            if (n < rate / 50) fprintf(stderr, "sound: %s is silent: left out\n", file);
            else {
                write_clip(s.x, n, path);
                printf("%s\t%s\t%s\tsynth\tMIT\tsynthesised\tsynth:%s-%d-%d\t\t\t%.3f\n", file, g->class, s.caption,
                       g->class, k, seed, (double) n / rate);
            }
            synth_end(&s);
        }
    }
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "list")) return list(), 0;
    if (argc == 5 && !strcmp(argv[1], "one") && atoi(argv[2]) >= 0 && atoi(argv[2]) < generator_count)
        return one(atoi(argv[2]), strtoull(argv[3], NULL, 10), argv[4]), 0;
    if ((argc == 4 || argc == 5) && !strcmp(argv[1], "batch")) {
        int first = argc == 5 ? atoi(argv[4]) : 0;
        return batch(atoi(argv[2]), argv[3], first < 0 ? 0 : first), 0;
    }
    fprintf(stderr, "usage: synth list | one NUMBER SEED OUT.flac | batch BATCH FOLDER [FIRST]\n");
    return 2;
}
