/* The shortest program with hiss: cc generate.c $(pkg-config --cflags --libs hiss) && ./a.out models/drums snare */
#include <hiss.h>
#include <stdio.h>

int main(int argc, char **argv) {
    hiss_error error;
    hiss_model *model = hiss_open(argc > 1 ? argv[1] : "models/drums", &error);
    hiss_request request = hiss_request_default();
    request.class_name = argc > 2 ? argv[2] : NULL;
    hiss_audio *sound = model ? hiss_generate(model, &request, &error) : NULL;
    int failed = !sound || !hiss_write(sound, "sound.wav", 16, &error);
    if (failed) fprintf(stderr, "%s\n", error.message);
    hiss_audio_free(sound);
    hiss_close(model);
    return failed;
}
