/* Two sounds at once: a texture with an event or another texture over it; the caption names both, the louder one first. */
#include "synth_rooms.h"

#include <stdio.h>
#include <string.h>

/* Pairs that can be met together; how often the second is heard. */
static const struct {
    make *ground, *over;
    const char *captions[3];
    int times;
} pairs[] = {
    {rain, thunder, {"rain and thunder", "a thunderstorm with rain", "thunder while it rains"}, 1},
    {rain, wind, {"rain and wind", "a storm with wind and rain", "rain in strong wind"}, 1},
    {rain,
     pass_by,
     {"rain and a vehicle passing", "a wet street with a passing car", "a car driving by in the rain"},
     1},
    {rain, footsteps, {"footsteps in the rain", "someone walking in the rain", "rain and footsteps"}, 1},
    {rain, frog, {"rain and frogs", "frogs croaking in the rain", "a pond in the rain with frogs"}, 1},
    {stream, birds, {"birds and a stream", "birds singing by flowing water", "a stream in a forest with birds"}, 1},
    {wind, birds, {"wind and birds", "birds singing in the wind", "birds on a windy day"}, 1},
    {wind, church_bell, {"wind and a church bell", "a church bell in the wind", "a bell ringing on a windy day"}, 1},
    {wind, creak, {"wind and a creaking door", "a door creaking in the wind", "a haunted house with wind"}, 2},
    {wind, chimes, {"wind chimes in the wind", "wind and chimes", "chimes on a windy porch"}, 1},
    {crickets, owl, {"crickets and an owl", "a night forest with an owl", "an owl hooting while crickets chirp"}, 1},
    {crickets,
     fire,
     {"a campfire at night with crickets", "crickets and a crackling fire", "a fire burning on a summer night"},
     1},
    {crickets, frog, {"crickets and frogs", "a pond at night", "frogs and crickets at night"}, 1},
    {waves, birds, {"waves and birds", "birds at the sea", "sea waves with birds calling"}, 1},
    {waves, wind, {"waves and wind", "a windy beach", "sea waves in strong wind"}, 1},
    {waves, horn, {"waves and a horn", "a horn at the sea", "a harbour with waves and a horn"}, 1},
    {fire, wood, {"a fire crackling and wood breaking", "wood thrown on a fire", "a fire and wood"}, 2},
    {fire, rain, {"a fire and rain", "a fireplace while it rains outside", "crackling fire with rain"}, 1},
    {crowd, applause, {"a crowd talking and applause", "people talking and clapping", "chatter and applause"}, 1},
    {crowd, glass, {"people talking and glasses clinking", "a bar with voices and glass", "a party with glasses"}, 3},
    {crowd,
     telephone,
     {"a telephone ringing in a busy room", "people talking and a phone ringing", "an office with a telephone"},
     1},
    {machine, metal, {"a machine and metal hits", "a workshop with hammering", "a factory with metal clanging"}, 3},
    {machine, alarm, {"a machine and an alarm", "an alarm in a factory", "machinery running while an alarm sounds"}, 1},
    {engine, horn, {"an engine and a horn", "a vehicle honking with the engine running", "traffic with a horn"}, 1},
    {siren, explosion, {"a siren and explosions", "explosions while a siren wails", "a war zone with a siren"}, 2},
    {siren,
     pass_by,
     {"a siren and a passing vehicle", "city traffic with a siren", "a siren while a car drives by"},
     1},
    {ambience,
     drip,
     {"a dark place with dripping water", "dripping water in a spooky place", "an eerie ambience with water drops"},
     1},
    {ambience,
     footsteps,
     {"footsteps in a spooky place", "someone walking in the dark", "an eerie ambience with footsteps"},
     1},
    {ambience,
     monster,
     {"a monster in a dark place", "an eerie ambience with a monster", "a growling creature in the dark"},
     1},
    {drone,
     heartbeat,
     {"a dark drone and a heartbeat", "a heartbeat over a drone", "a tense drone with a beating heart"},
     1},
    {clock,
     typing,
     {"a clock ticking and someone typing", "typing in a quiet office with a clock", "a ticking clock and a keyboard"},
     1},
    {clock, rain, {"a clock ticking while it rains", "a ticking clock and rain outside", "rain and a clock"}, 1},
    {train, horn, {"a train and a horn", "a train passing with a horn", "a railway with a horn"}, 1},
    {fire, explosion, {"a fire and explosions", "explosions and burning", "a blaze with explosions"}, 2},
    {footsteps,
     door,
     {"footsteps and a door", "someone walking and closing a door", "footsteps and a door closing"},
     1},
    {birds, dog, {"birds and a dog barking", "a dog barking outdoors with birds", "a garden with birds and a dog"}, 1},
    {birds,
     church_bell,
     {"birds and a church bell", "a village morning with birds and bells", "birdsong and a church bell"},
     1},
    {birds, rooster, {"birds and a rooster", "a farm in the morning", "a rooster crowing and birds"}, 1},
    {wind, sheep, {"wind and a sheep", "a sheep on a windy hill", "a bleating animal in the wind"}, 2},
    {vinyl,
     drone,
     {"a drone on an old record", "vinyl crackle over a drone", "a crackling record of a droning sound"},
     1},
};

static void level(sound *s, double peak) {
    float most = 1e-9f;
    for (int i = 0; i < s->n; i++) most = s->x[i] > most ? s->x[i] : -s->x[i] > most ? -s->x[i] : most;
    for (int i = 0; i < s->n; i++) s->x[i] *= (float) peak / most;
}

void scene(sound *s) {
    int k = below(s, (int) (sizeof pairs / sizeof *pairs));
    begin(s, 5, 9);
    for (int layer = 0; layer < 2; layer++)
        for (int time = 0; time < (layer ? pairs[k].times : 1); time++) {
            sound part = {.state = s->state ^ (uint64_t) (7919 * (2 * time + layer + 1))};
            (layer ? pairs[k].over : pairs[k].ground)(&part);
            level(&part, layer ? uni(s, .35, .8) : uni(s, .45, .8));
            int last = s->n - part.n, start = last > 0 && layer ? (int) uni(s, 0, last) : 0;
            /* A ground that is too short goes round; its ends are crossed over a tenth of a second. */
            for (int i = 0; i < s->n - start && (i < part.n || !layer); i++) {
                int at = i % part.n, cross = 4410;
                float gain = i >= part.n && at < cross ? (float) at / (float) cross : 1;
                if (!layer && part.n < s->n && part.n - at <= cross) gain *= (float) (part.n - at) / (float) cross;
                s->x[start + i] += gain * part.x[at];
            }
            synth_end(&part);
        }
    for (int c = 0; c < 3; c++) say(s, "%s", pairs[k].captions[(c + (int) (s->state >> 20 & 3)) % 3]);
}
