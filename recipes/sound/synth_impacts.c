/* Things that are struck, break, open, burst: modes of bodies, and noise. */
#include "synth_rooms.h"

#include <math.h>

static const mode plate[] = {{1, 1, 1},      {1.52, .7, .9}, {2.14, .8, .7}, {2.87, .5, .6},
                             {3.41, .5, .5}, {4.7, .35, .4}, {6.2, .25, .3}, {8.1, .2, .2}};
static const mode beam[] = {{1, 1, 1}, {2.76, .6, .5}, {5.4, .35, .25}, {8.93, .2, .15}};
static const mode block[] = {{1, 1, 1}, {1.9, .6, .6}, {2.6, .5, .5}, {4.2, .3, .3}, {5.8, .2, .2}};
static const mode pane[] = {{1, 1, 1}, {1.37, .6, .8}, {1.93, .7, .7}, {2.61, .5, .6}, {3.7, .4, .5}, {5.3, .3, .3}};

void impact(sound *s) {
    begin(s, .5, 2);
    int kind = below(s, 4); /* thud, punch, crash, hit */
    double t = .02, size = uni(s, .5, 1);
    if (kind == 0) {
        chirp(s, t, .25, uni(s, 80, 150), uni(s, 35, 60), .4, 1);
        burst(s, t, .3, 40, 600, .05, .002, .7);
    } else if (kind == 1) {
        burst(s, t, .05, 300, uni(s, 3000, 6000), .008, 0, .8);
        burst(s, t + .003, .2, 60, 700, .03, .002, 1);
        chirp(s, t, .14, 160, 60, .4, .8);
    } else if (kind == 2) {
        burst(s, t, 1.5, 100, 8000, .12 * size, 0, 1);
        for (int k = 12 + below(s, 30); k--;) {
            double at = t + fabs(gauss(s)) * .35 * size;
            if (chance(s, .5)) strike(s, at, plate, 6, logu(s, 250, 2400), uni(s, .03, .15), uni(s, .1, .4));
            else burst(s, at, .1, 500, 9000, .02, 0, uni(s, .1, .6));
        }
    } else {
        strike(s, t, block, 5, uni(s, 150, 500), .03, .7);
        burst(s, t, .08, 200, 5000, .012, 0, .8);
    }
    room(s, uni(s, .3, 1.5), uni(s, .05, .3));
    fade(s, 0, .1);
    static const char *const words[][3] = {{"a dull thud", "something heavy falling on the floor", "a heavy thump"},
                                           {"a punch", "a body blow", "a hit with a fist"},
                                           {"a crash", "things crashing down", "a loud crash of falling objects"},
                                           {"a knock", "a hard hit", "an object being hit"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "an impact");
}

void metal(sound *s) {
    int kind = below(s, 5); /* clang, pipe, small, rattle, scrape */
    begin(s, kind == 2 ? .5 : 1.2, kind == 2 ? 1.2 : 3);
    double hz = kind == 0   ? uni(s, 160, 480)
                : kind == 1 ? uni(s, 280, 800)
                            : uni(s, 1200, 3600),
           tau = kind == 0   ? uni(s, .25, .9)
                 : kind == 1 ? uni(s, .4, 1.4)
                             : uni(s, .08, .4);
    if (kind < 3) {
        strike(s, .02, kind == 1 ? beam : plate, kind == 1 ? 4 : 8, hz, tau, .5);
        if (kind == 0) strike(s, .02, plate, 8, hz * 1.13, tau * .6, .35);
        burst(s, .02, .03, 800, 12000, .003, 0, .6);
        if (chance(s, .25)) strike(s, .02 + uni(s, .1, .3), kind == 1 ? beam : plate, 4, hz, tau * .7, .2);
    } else if (kind == 3) {
        for (double t = .02; t < length_of(s) - .3; t += logu(s, .015, .12))
            strike(s, t, plate, 6, logu(s, 1100, 4200), uni(s, .01, .06), uni(s, .1, .5));
    } else {
        float *rasp = noise(s, s->n, 1500, 9000, 0), *press = curve(s, s->n, 25, .1, 1),
              *move = curve(s, s->n, 9, .8, 1.2);
        for (int v = 0; v < 7; v++) {
            svf f = {0, 0};
            double at = uni(s, 900, 6000);
            for (int i = 0; i < s->n; i++) s->x[i] += .15f * press[i] * svf_band(&f, rasp[i], at * move[i], 11);
        }
        fade(s, .1, .3);
    }
    room(s, uni(s, .5, 1.8), .18);
    static const char *const words[][3] = {
        {"a metal clang", "a heavy metal plate being hit", "a loud metallic clang"},
        {"a metal pipe being hit", "a metal bar struck", "a ringing metal pipe"},
        {"a small metal clink", "a small metal object being tapped", "a metallic tink"},
        {"metal rattling", "a chain rattling", "keys jingling"},
        {"metal scraping", "metal scraping on metal", "a blade being drawn"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "metal");
}

void wood(sound *s) {
    int kind = below(s, 4); /* hit, chop, break, planks */
    begin(s, .4, kind == 3 ? 2 : 1.2);
    double hz = uni(s, 160, 700), tau = uni(s, .015, .05);
    if (kind < 2) {
        strike(s, .02, block, 5, hz, tau, .8);
        burst(s, .02, .06, 300, kind ? 8000 : 4500, kind ? .01 : .005, 0, kind ? .9 : .4);
        if (kind == 1) burst(s, .05, .15, 1500, 9000, .02, .01, .15);
    } else {
        for (int k = kind == 2 ? 6 + below(s, 18) : 3 + below(s, 5); k--;) {
            double t = .02 + (kind == 2 ? fabs(gauss(s)) * .15 : uni(s, 0, length_of(s) - .4));
            burst(s, t, .05, 600, 9000, logu(s, .001, .01), 0, uni(s, .2, 1));
            strike(s, t, block, 5, hz * uni(s, .7, 1.6), tau, uni(s, .2, .7));
        }
    }
    room(s, uni(s, .2, .8), .12);
    static const char *const words[][3] = {{"a wooden block being hit", "a knock on wood", "wood being hit"},
                                           {"an axe chopping wood", "a wood chop", "chopping a log"},
                                           {"wood breaking", "a branch snapping", "a wooden board cracking"},
                                           {"wooden planks falling", "wood clattering", "logs falling"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "wood");
}

void stone(sound *s) {
    int kind = below(s, 3); /* hit, fall, grind */
    begin(s, kind ? 1.2 : .4, kind ? 3 : .8);
    int hits = kind == 0 ? 1 + below(s, 2) : kind == 1 ? 25 + below(s, 60) : 0;
    for (int k = 0; k < hits; k++) {
        double t = .02 + (kind ? pow(uni(s, 0, 1), 1.4) * (length_of(s) - .4) : k * .07),
               small = uni(s, .15, 1) * (k ? .6 : 1);
        strike(s, t, block, 4, logu(s, 500, 2400) / (.5 + small), .006 + .012 * small, small * .6);
        burst(s, t, .04, 400, 7000, .005, 0, small * .7);
        if (kind) burst(s, t, .1, 50, 400, .025, 0, small * .4);
    }
    if (kind == 2) {
        float *rub = noise(s, s->n, 120, 2500, -.4), *move = curve(s, s->n, 30, 0, 1), *slow = curve(s, s->n, 3, .5, 1);
        for (int i = 0; i < s->n; i++) s->x[i] += move[i] * move[i] * slow[i] * rub[i];
        fade(s, .1, .2);
    }
    room(s, uni(s, .3, 1.5), .15);
    static const char *const words[][3] = {
        {"a stone hitting the ground", "two stones knocked together", "a rock being hit"},
        {"rocks falling", "a rockfall", "stones tumbling down"},
        {"stone grinding on stone", "a heavy stone slab moving", "a stone door grinding open"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "stone");
}

void glass(sound *s) {
    int kind = below(s, 3); /* shatter, clink, bottle */
    begin(s, kind ? .6 : 1, kind ? 1.6 : 2.4);
    if (kind == 0) {
        burst(s, .02, .2, 1500, 14000, .02, 0, 1);
        int pieces = 30 + below(s, 90);
        double spread = uni(s, .2, .6);
        for (int k = 0; k < pieces; k++)
            strike(s, .02 + fabs(gauss(s)) * spread, pane, 4, logu(s, 1800, 7000), logu(s, .006, .08), uni(s, .04, .4));
    } else {
        int times = 1 + below(s, 2);
        double hz = kind == 1 ? uni(s, 1700, 4200) : uni(s, 700, 1600);
        for (int k = 0; k < times; k++) {
            strike(s, .02 + k * uni(s, .08, .3), pane, 6, hz, kind == 1 ? uni(s, .1, .5) : uni(s, .05, .15), .6);
            burst(s, .02, .02, 2500, 14000, .001, 0, .4);
        }
    }
    room(s, uni(s, .3, 1), .12);
    static const char *const words[][3] = {{"glass breaking", "a window shattering", "a glass smashing on the floor"},
                                           {"a glass clink", "two glasses clinking", "tapping a wine glass"},
                                           {"a bottle being hit", "a glass bottle", "bottles clinking"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "glass");
}

void knock(sound *s) {
    int times = 2 + below(s, 4), heavy = chance(s, .4);
    double gap = heavy ? uni(s, .25, .4) : uni(s, .13, .22), hz = heavy ? uni(s, 90, 160) : uni(s, 180, 380);
    begin(s, times * gap + .4, times * gap + .6);
    for (int k = 0; k < times; k++) {
        double t = .03 + k * gap * uni(s, .96, 1.04), loud = uni(s, .75, 1);
        strike(s, t, block, 5, hz, heavy ? .06 : .03, loud);
        burst(s, t, .03, 400, 4500, .003, 0, loud * .4);
    }
    room(s, .6, .2);
    say(s, "%s knocking on a door", heavy ? "heavy" : "light");
    say(s, "%s", ONE_OF(s, "someone knocking on a wooden door", "door knock", "knock knock"));
    static const char *const counts[] = {"", "", "two", "three", "four", "five"};
    say(s, "%s knocks on a door", counts[times]);
}

/* Stick and slip: pulses whose rate wanders, through a resonant board. */
void creak(sound *s) {
    begin(s, .8, 3);
    double lasts = length_of(s) - .2, low = logu(s, 18, 60), high = low * uni(s, 1.5, 5), hz = logu(s, 350, 1300),
           phase = 0;
    int up = chance(s, .5);
    float *wander = curve(s, s->n, 5, .75, 1.3), *press = curve(s, s->n, 4, .35, 1);
    for (int i = 0; i < at_sample(lasts); i++) {
        double u = (double) i / at_sample(lasts),
               rate = (up ? low + (high - low) * u : high + (low - high) * u) * wander[i];
        phase += rate / hz_rate;
        if (phase >= 1) {
            phase -= 1;
            double t = .01 + (double) i / hz_rate,
                   loud = press[i] * pow(sin(3.14159265 * (.03 + .94 * u)), .5) * uni(s, .6, 1);
            strike(s, t, block, 4, hz * (1 + .15 * u), .006, loud * .5);
            ring(s, t, hz * 2.2, .003, loud * .4);
        }
    }
    room(s, .9, .2);
    int slow = high < 90;
    say(s, "%s", ONE_OF(s, "a creaking door", "a door creaking open", "a squeaky hinge"));
    say(s, slow ? "a slow wooden creak" : "a high squeaking creak");
    say(s, "creaking wood");
}

void door(sound *s) {
    int kind = below(s, 4); /* close, slam, latch, metal */
    begin(s, .8, 2);
    double t = .03;
    if (kind != 1) { /* latch */
        burst(s, t, .02, 1200, 9000, .002, 0, .35);
        ring(s, t, uni(s, 1500, 3000), .01, .2);
        t += uni(s, .06, .4);
    }
    if (kind != 2) {
        double size = kind == 1 ? 1 : .6;
        if (kind == 3) strike(s, t, plate, 8, uni(s, 70, 170), .35, .7);
        else strike(s, t, block, 5, uni(s, 55, 110), .06, size);
        burst(s, t, .35, 40, kind == 1 ? 3000 : 1200, .04 * size + .02, .001, size);
        burst(s, t + .02, .03, 1000, 8000, .003, 0, .3);
    } else {
        burst(s, t, .03, 700, 8000, .003, 0, .8);
        strike(s, t, beam, 3, uni(s, 900, 1800), .02, .4);
    }
    room(s, uni(s, .4, 1.8), .22);
    static const char *const words[][3] = {
        {"a door closing", "a wooden door being shut", "closing a door"},
        {"a door slamming", "a door slammed shut", "a loud door slam"},
        {"a door lock", "a key turning in a lock", "a door latch clicking"},
        {"a heavy metal door closing", "a steel door slamming", "an iron gate closing"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "door");
}

void explosion(sound *s) {
    int kind = below(s, 3); /* small, large, distant */
    begin(s, kind == 0 ? 1 : 2.5, kind == 0 ? 2 : 5);
    double t = .02, size = kind == 0 ? .4 : uni(s, .8, 1.3);
    burst(s, t, 1.5 * size, 150, kind == 2 ? 900 : logu(s, 6000, 13000), .05 + .2 * size, .001, 1.3);
    burst(s, t + .02, 3 * size, 90, kind == 2 ? 700 : logu(s, 1500, 4000), .15 + .45 * size, .02, .7);
    burst(s, t, 4 * size, 22, logu(s, 180, 500), .35 * size + .08, .006, 1.6);
    chirp(s, t, .7 * size, 95, 26, .3, 1.3);
    saturate(s, 1.4);
    for (int k = kind == 2 ? 0 : below(s, 40); k--;)
        burst(s, t + uni(s, .1, .4) + fabs(gauss(s)) * .5 * size, .06, 400, 8000, .01, 0, uni(s, .02, .2)); /* debris */
    if (kind == 2) low_pass(s->x, s->n, 350);
    room(s, kind == 0 ? 1 : 2.8, .3);
    fade(s, 0, .4);
    say(s, "%s",
        kind == 0   ? ONE_OF(s, "a small explosion", "a grenade exploding", "a short blast")
        : kind == 1 ? ONE_OF(s, "a large explosion", "a huge explosion", "a bomb exploding")
                    : ONE_OF(s, "a distant explosion", "a bomb far away", "a muffled explosion"));
    say(s, "an explosion");
}

void gunshot(sound *s) {
    int kind = below(s, 5); /* pistol, rifle, shotgun, machine gun, distant */
    begin(s, kind == 3 ? 1.2 : .9, kind == 3 ? 2.6 : 2);
    int shots = kind == 3 ? 4 + below(s, 14) : 1;
    double gap = uni(s, .07, .13), tail = uni(s, .6, 2.2), size = kind == 2 ? 1.4 : 1,
           high = kind == 0 ? uni(s, 5000, 9000) : uni(s, 8000, 14000);
    for (int k = 0; k < shots && .02 + k * gap < length_of(s) - .3; k++) {
        double t = .02 + k * gap * uni(s, .97, 1.03);
        burst(s, t, .2, 200, high, .012 * size, 0, 1.6);
        burst(s, t, .4, 50, 900, .04 * size, .001, 1.2);
        burst(s, t + .01, .5, 400, 4000, .07 * size, .002, .25);
    }
    saturate(s, 1.2);
    if (kind == 4) low_pass(s->x, s->n, 900);
    room(s, tail, kind == 4 ? .6 : .2);
    static const char *const words[][3] = {{"a pistol shot", "a handgun fired", "a single gunshot"},
                                           {"a rifle shot", "a sniper rifle", "a rifle fired outdoors"},
                                           {"a shotgun blast", "a shotgun fired", "a loud shotgun shot"},
                                           {"machine gun fire", "a machine gun burst", "automatic gunfire"},
                                           {"a distant gunshot", "a shot far away", "a distant rifle shot"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "gunshot");
}

void fireworks(sound *s) {
    begin(s, 2, 6);
    int many = length_of(s) > 3.5;
    double length = length_of(s);
    for (int k = many ? 3 + below(s, 6) : 1; k--;) {
        double t = .02 + uni(s, 0, many ? length - 2 : .2), lift = uni(s, .4, .9), hz = uni(s, 900, 2800);
        if (chance(s, .6))
            chirp(s, t, lift, hz, hz * uni(s, 1.1, 1.8), .6, .25), burst(s, t, lift, 1200, 7000, 1, lift * .5, .06);
        t += lift;
        burst(s, t, .9, 40, 2500, .12, .001, 1);
        if (chance(s, .6))
            for (int c = 40 + below(s, 120); c--;)
                burst(s, t + .15 + fabs(gauss(s)) * .5, .02, 2000, 12000, .002, 0, uni(s, .05, .4));
    }
    room(s, 2.2, .3);
    fade(s, 0, .4);
    say(s, "%s",
        many ? ONE_OF(s, "fireworks exploding", "a fireworks show", "many fireworks")
             : ONE_OF(s, "a firework rocket exploding", "a single firework", "a firecracker"));
    say(s, "fireworks");
}

void arrow(sound *s) {
    begin(s, .5, 1.2);
    int hits = chance(s, .5);
    double t = .02, flight = uni(s, .12, .4), hz = uni(s, 120, 260);
    ring(s, t, hz, .05, .7), ring(s, t, hz * 2.02, .03, .4), ring(s, t, hz * 3.1, .02, .25); /* the string */
    burst(s, t, .04, 500, 6000, .006, 0, .5);
    burst(s, t + .02, flight, 1500, 8000, flight * .5, flight * .3, .3);
    if (hits) {
        strike(s, t + flight, block, 4, uni(s, 200, 420), .025, .9);
        for (int k = 0; k < 9; k++) ring(s, t + flight + k * .022, uni(s, 58, 70), .02, .3 * pow(.75, k));
        burst(s, t + flight, .04, 500, 6000, .005, 0, .6);
    }
    room(s, .4, .1);
    say(s, hits ? "an arrow hitting wood" : "a bow being shot");
    say(s, "%s",
        hits ? ONE_OF(s, "an arrow shot into a target", "bow and arrow hit")
             : ONE_OF(s, "an arrow flying", "shooting an arrow"));
    say(s, "arrow");
}
