/* For a game: variations of a sound, a seamless loop, and a long bed that is handed on while it is made.
 * cc variations.c $(pkg-config --cflags --libs hiss) -o variations && ./variations "a heavy wooden door closes" rain */
#include <hiss.h>
#include <stdio.h>

static int give_up(const hiss_error *error) {
    fprintf(stderr, "%s\n", error->message);
    return 1;
}

/* What a game would hand to its mixer. */
static int play(void *context, const float *samples, int64_t frames) {
    (void) samples;
    *(int64_t *) context += frames;
    return 0;
}

int main(int argc, char **argv) {
    const char *effect = argc > 1 ? argv[1] : "a heavy wooden door closes", *bed = argc > 2 ? argv[2] : "rain";
    hiss_error error;
    hiss_model *model = hiss_open(NULL, &error); /* the sound model that comes with hiss */
    if (!model) return give_up(&error);

    hiss_request request = hiss_request_default();
    request.prompt = effect;
    request.seconds = 2;
    for (request.seed = 1; request.seed <= 4; request.seed++) {
        char path[32];
        snprintf(path, sizeof path, "effect-%d.wav", (int) request.seed);
        hiss_audio *sound = hiss_generate(model, &request, &error);
        if (!sound || !hiss_write(sound, path, 16, &error)) return give_up(&error);
        hiss_audio_free(sound);
    }

    request.prompt = bed;
    request.seconds = 6;
    request.loop = true;
    hiss_audio *loop = hiss_generate(model, &request, &error);
    if (!loop || !hiss_write(loop, "loop.wav", 16, &error)) return give_up(&error);
    hiss_audio_free(loop);

    int64_t frames = 0;
    request.loop = false;
    request.seconds = 60;
    if (!hiss_stream(model, &request, play, &frames, &error)) return give_up(&error);
    printf("effect-1.wav to effect-4.wav, loop.wav, and %lld frames handed on\n", (long long) frames);
    hiss_close(model);
    return 0;
}
