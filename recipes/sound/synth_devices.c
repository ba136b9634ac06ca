/* Electric and small devices: sparks, hum, clocks, keyboards, radio noise, records. */
#include "synth_rooms.h"

#include <math.h>

static const double turn = 6.283185307179586;

void electricity(sound *s) {
    begin(s, 2, 5);
    double mains = chance(s, .5) ? 100 : 120, phase = 0;
    float *air = noise(s, s->n, 700, 14000, .1), *arc = curve(s, s->n, 7, -.5, 1), *hot = curve(s, s->n, 40, .4, 1);
    for (int i = 0; i < s->n; i++) {
        phase += mains / hz_rate;
        double gate = pow(fabs(sin(turn / 2 * phase)), 6);
        float on = arc[i] > 0 ? arc[i] * hot[i] : 0;
        s->x[i] +=
            on * (float) gate * air[i] +
            (.1f + .3f * on) * (float) (sin(turn * phase) + .5 * sin(turn * 2 * phase) + .3 * sin(turn * 5 * phase));
    }
    for (double t = 0; t < length_of(s); t += uni(s, .02, .3)) burst(s, t, .02, 1500, 14000, .003, 0, uni(s, .2, 2.2));
    fade(s, .02, .1);
    say(s, "%s", ONE_OF(s, "an electric arc buzzing", "electricity crackling", "a high-voltage arc"));
    say(s, "electricity");
}

void spark(sound *s) {
    begin(s, .4, 1.5);
    double t = .02;
    int many = 1 + below(s, 9);
    for (int k = 0; k < many && t < length_of(s) - .15; k++, t += logu(s, .01, .25)) {
        burst(s, t, .15, 1200, 15000, logu(s, .002, .03), 0, uni(s, .4, 1));
        if (chance(s, .5)) chirp(s, t, .05, uni(s, 3000, 7000), uni(s, 500, 2000), .5, .3);
    }
    room(s, .4, .1);
    say(s, many > 1 ? "electric sparks" : "a single electric spark");
    say(s, "%s", ONE_OF(s, "an electric zap", "a short circuit sparking", "an electric shock"));
}

void hum(sound *s) {
    begin(s, 3, 6);
    double hz = chance(s, .5) ? 50 : 60;
    int bright = chance(s, .5);
    for (int h = 1; h < 24; h++) {
        double loud = uni(s, .1, 1) / pow(h, bright ? .7 : 1.4), phase = uni(s, 0, turn);
        for (int i = 0; i < s->n; i++) s->x[i] += (float) (loud * sin(phase + turn * hz * h * i / hz_rate));
    }
    mix(s, noise(s, s->n, 500, 9000, -.3), NULL, .03);
    fade(s, .02, .05);
    say(s, bright ? "a buzzing transformer" : "a low electrical hum");
    say(s, "%s", ONE_OF(s, "mains hum", "an electrical hum", "a humming power transformer"));
}

static void tick(sound *s, double t, double hz, double loud) {
    burst(s, t, .01, 1500, 12000, .0012, 0, loud);
    ring(s, t, hz, .006, loud * .7);
    ring(s, t, hz * 1.71, .004, loud * .5);
    ring(s, t + .004, hz * .43, .01, loud * .25);
}

void clock(sound *s) {
    begin(s, 3, 7);
    int kind = below(s, 3); /* wall clock, pocket watch, grandfather clock */
    double gap = kind == 0   ? uni(s, .45, .55)
                 : kind == 1 ? uni(s, .19, .25)
                             : uni(s, .85, 1.05),
           hz = kind == 0   ? uni(s, 1400, 2600)
                : kind == 1 ? uni(s, 3000, 5500)
                            : uni(s, 500, 1000);
    int k = 0;
    for (double t = .05; t < length_of(s) - .1; t += gap, k++) tick(s, t, hz * (k & 1 ? .88 : 1), k & 1 ? .75 : 1);
    if (kind == 2) room(s, .8, .3);
    else room(s, .3, .08);
    static const char *const words[][2] = {{"a clock ticking", "a wall clock"},
                                           {"a pocket watch ticking fast", "a small watch ticking"},
                                           {"a grandfather clock ticking slowly", "a large old clock ticking"}};
    say(s, "%s", words[kind][0]);
    say(s, "%s", words[kind][1]);
    say(s, "ticking clock");
}

void typing(sound *s) {
    begin(s, 2.5, 6);
    int old = chance(s, .35);
    double speed = uni(s, 4, 11), length = length_of(s);
    for (double t = .05; t < length - .2;) {
        double hz = old ? uni(s, 900, 1800) : uni(s, 1200, 2800), loud = uni(s, .5, 1);
        burst(s, t, .02, 800, 9000, .003, 0, loud);
        ring(s, t, hz, old ? .02 : .006, loud * .5);
        ring(s, t + .002, uni(s, 180, 320), .012, loud * .5);
        burst(s, t + uni(s, .06, .1), .015, 1500, 9000, .002, 0, loud * .3);
        if (old) ring(s, t, uni(s, 3000, 5000), .03, loud * .15);
        t += (chance(s, .15) ? uni(s, .2, .6) : 0) + uni(s, .6, 1.4) / speed;
    }
    if (old && chance(s, .6)) ring(s, uni(s, .5, length - .5), 2400, .35, .7);
    room(s, .3, .1);
    say(s, "%s",
        old ? ONE_OF(s, "typing on a typewriter", "an old typewriter")
            : ONE_OF(s, "typing on a computer keyboard", "a mechanical keyboard", "someone typing"));
    say(s, "%s %s", speed > 7.5 ? "fast typing on a" : "slow typing on a", old ? "typewriter" : "keyboard");
    say(s, "typing");
}

void printer(sound *s) {
    begin(s, 2.5, 5);
    double line = uni(s, .25, .6), pins = uni(s, 600, 1400), length = length_of(s);
    for (double t = .05; t + line < length; t += line * uni(s, 1.2, 1.5)) {
        int n = at_sample(line), first = at_sample(t);
        float *buzz = noise(s, n, 900, 7000, -.2), *ink = curve(s, n, 25, -.3, 1);
        for (int i = 0; i < n && first + i < s->n; i++)
            s->x[first + i] +=
                (ink[i] > 0 ? 1 : .15f) * (float) pow(.5 + .5 * sin(turn * pins * i / hz_rate), 2) * buzz[i];
        chirp(s, t + line, .08, 200, 420, .5, .8);
    }
    say(s, "%s", ONE_OF(s, "a dot matrix printer printing", "an old printer", "a printer working"));
    say(s, "printer");
}

void static_noise(sound *s) {
    begin(s, 3, 7);
    int kind = below(s, 4); /* white, radio between stations, television, tuning */
    mix(s, noise(s, s->n, kind == 0 ? 20 : 250, kind == 0 ? 20000 : 5000, kind == 2 ? .1 : 0),
        kind == 0 ? NULL : curve(s, s->n, 9, .6, 1), .5);
    if (kind == 1 || kind == 3) {
        for (double t = 0; t < length_of(s); t += uni(s, .05, .5))
            burst(s, t, .06, 600, 6000, logu(s, .002, .02), 0, uni(s, .3, 1.6));
        float *pitch = curve(s, s->n, kind == 3 ? 3 : .7, 200, 3200), *level = curve(s, s->n, 2, -.5, .6);
        double phase = 0;
        for (int i = 0; i < s->n; i++) {
            phase += turn * pitch[i] / hz_rate;
            if (level[i] > 0) s->x[i] += level[i] * (float) sin(phase) * .6f;
        }
    }
    fade(s, .01, .02);
    static const char *const words[][3] = {
        {"white noise", "steady white noise", "hiss"},
        {"radio static", "static between radio stations", "a radio without signal"},
        {"television static", "an old television without signal", "TV noise"},
        {"tuning a radio", "a radio dial being turned", "searching for a radio station"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "static noise");
}

void vinyl(sound *s) {
    begin(s, 4, 8);
    int worn = chance(s, .5);
    double rate = worn ? uni(s, 20, 60) : uni(s, 3, 14), turns = 60 / 33.33;
    mix(s, noise(s, s->n, 30, 9000, -.5), NULL, .035);
    for (double t = 0; t < length_of(s); t += -log(1 - uni(s, 0, .999)) / rate)
        burst(s, t, .006, 700, 12000, logu(s, .0003, .0025), 0, pow(uni(s, 0, 1), 3) + .05);
    double scratch = uni(s, 0, turns);
    if (worn)
        for (double t = scratch; t < length_of(s); t += turns)
            burst(s, t, .03, 300, 9000, .003, 0, 1.2), burst(s, t + .05, .02, 300, 8000, .002, 0, .8);
    say(s, worn ? "a worn vinyl record crackling" : "vinyl record crackle");
    say(s, "%s", ONE_OF(s, "crackle of an old record", "the noise of a record player", "vinyl noise"));
}
