/* The table of generators, and how one sound is made. */
#include "synth_rooms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const generator generators[] = {
    {"rain", rain, 1},
    {"thunder", thunder, 1},
    {"wind", wind, 1},
    {"fire", fire, 1},
    {"waves", waves, 1},
    {"stream", stream, 1},
    {"drip", drip, 0},
    {"water", splash, 0},
    {"bubbles", bubbles, 0},
    {"birds", birds, 1},
    {"insects", crickets, 1},
    {"insects", cicada, 1},
    {"insects", fly, 0},
    {"frog", frog, 1},
    {"owl", owl, 0},
    {"cat", cat, 0},
    {"dog", dog, 0},
    {"birds", crow, 0},
    {"farm-animal", rooster, 0},
    {"farm-animal", sheep, 0},
    {"farm-animal", cow, 0},
    {"monster", monster, 0},
    {"monkey", monkey, 0},
    {"footsteps", footsteps, 1},
    {"applause", applause, 1},
    {"crowd", crowd, 1},
    {"heartbeat", heartbeat, 1},
    {"eating", chewing, 0},
    {"breathing", breath, 1},
    {"engine", engine, 1},
    {"engine", pass_by, 1},
    {"helicopter", helicopter, 1},
    {"plane", plane, 1},
    {"rocket", rocket, 1},
    {"train", train, 1},
    {"machine", machine, 1},
    {"drill", drill, 0},
    {"saw", saw, 0},
    {"skid", skid, 0},
    {"horn", horn, 0},
    {"electricity", electricity, 1},
    {"electricity", spark, 0},
    {"hum", hum, 1},
    {"clock", clock, 1},
    {"typing", typing, 1},
    {"machine", printer, 0},
    {"static", static_noise, 1},
    {"vinyl", vinyl, 1},
    {"impact", impact, 0},
    {"impact", sub_drop, 0},
    {"metal", metal, 0},
    {"wood", wood, 0},
    {"stone", stone, 0},
    {"glass", glass, 0},
    {"knock", knock, 0},
    {"creak", creak, 0},
    {"door", door, 0},
    {"explosion", explosion, 0},
    {"gunshot", gunshot, 0},
    {"fireworks", fireworks, 1},
    {"arrow", arrow, 0},
    {"bell", bell, 0},
    {"church-bell", church_bell, 1},
    {"chimes", chimes, 1},
    {"alarm", alarm, 0},
    {"siren", siren, 1},
    {"telephone", telephone, 0},
    {"beep", beep, 0},
    {"click", click, 0},
    {"notification", notification, 0},
    {"beep", morse, 0},
    {"laser", laser, 0},
    {"pickup", coin, 0},
    {"jump", jump, 0},
    {"power-up", power_up, 0},
    {"game-over", game_over, 0},
    {"magic", magic, 0},
    {"whoosh", whoosh, 0},
    {"sweep", riser, 0},
    {"cartoon", boing, 0},
    {"cartoon", slide_whistle, 0},
    {"cartoon", pop, 0},
    {"electronic", robot, 0},
    {"drone", drone, 1},
    {"ambience", ambience, 1},
    {"scene", scene, 2},
    {"kick", kick, 0},
    {"snare", snare, 0},
    {"clap", hand_clap, 0},
    {"hi-hat", hat, 0},
    {"cymbal", cymbal, 0},
    {"tom", tom, 0},
    {"tabla", tabla, 0},
    {"percussion", shaker, 0},
};
const int generator_count = sizeof generators / sizeof *generators;

const generator *generator_named(void (*make)(sound *s)) {
    for (int k = 0; k < generator_count; k++)
        if (generators[k].make == make) return &generators[k];
    abort();
}

void synth_end(sound *s) {
    for (int i = 0; i < s->scratch_count; i++) free(s->scratch[i]);
    s->scratch_count = 0;
    s->x = NULL;
}

void synth_make(sound *s, const generator *g, uint64_t seed) {
    uint64_t name = 1469598103934665603u;
    for (const char *c = g->class; *c; c++) name = (name ^ (uint64_t) *c) * 1099511628211u;
    *s = (sound){.state = (name + (uint64_t) (g - generators)) * 0x9E3779B97F4A7C15u + seed * 0xD1B54A32D192ED03u};
    for (int i = 0; i < 4; i++) uni(s, 0, 1);
    g->make(s);
    if (!g->texture) fade(s, 0, fmin(.12, (double) s->n / hz_rate / 8)); /* what still rings is not broken off */
    float most = 0;
    for (int i = 0; i < s->n; i++) most = fmaxf(most, fabsf(s->x[i]));
    for (int i = 0; most > 0 && i < s->n; i++) s->x[i] *= .95f / most;
}
