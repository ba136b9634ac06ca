/* Drums as drum machines and hand drums make them: swept sines, filtered noise, rings of detuned squares. */
#include "synth_rooms.h"

#include <math.h>

static const double turn = 6.283185307179586;

/* A sine that falls from `from` to `to` with one time constant and dies away with another. */
static void thump(sound *s, double at, double from, double to, double glide, double tau, double loud) {
    double phase = 0;
    for (int i = at_sample(at), k = 0; i < s->n; i++, k++) {
        double t = (double) k / hz_rate;
        phase += turn * (to + (from - to) * exp(-t / glide)) / hz_rate;
        s->x[i] += (float) (loud * exp(-t / tau) * sin(phase));
    }
}

void kick(sound *s) {
    begin(s, .4, 1.2);
    int kind = below(s, 4); /* deep, punchy, hard, dry */
    double tau = kind == 0   ? uni(s, .25, .5)
                 : kind == 3 ? uni(s, .05, .1)
                             : uni(s, .1, .22),
           low = kind == 0 ? uni(s, 38, 52) : uni(s, 45, 70);
    thump(s, .01, low * uni(s, 2.5, 7), low, uni(s, .008, .035), tau, 1);
    burst(s, .01, .02, 800, kind == 2 ? 12000 : 4000, .003, 0, kind == 0 ? .1 : kind == 2 ? .6 : .3);
    if (kind == 2) saturate(s, uni(s, 2, 5));
    static const char *const words[] = {"deep", "punchy", "hard distorted", "dry"};
    say(s, "a %s kick drum", words[kind]);
    say(s, "%s kick", words[kind]);
    say(s, "%s", ONE_OF(s, "an electronic bass drum", "a drum machine kick", "a synthesized kick drum"));
}

void snare(sound *s) {
    begin(s, .3, .8);
    int bright = chance(s, .5), tight = chance(s, .5);
    double hz = uni(s, 150, 260), tau = tight ? uni(s, .04, .08) : uni(s, .1, .2);
    thump(s, .01, hz * 1.5, hz, .01, tau * .7, .7);
    thump(s, .01, hz * 2.4, hz * 1.7, .01, tau * .5, .35);
    burst(s, .01, .6, bright ? 1800 : 700, bright ? 13000 : 6500, tau, 0, .8);
    if (chance(s, .4)) room(s, uni(s, .4, 1.2), .2);
    say(s, "a %s %s snare drum", tight ? "tight" : "loose", bright ? "bright" : "dull");
    say(s, "%s", ONE_OF(s, "an electronic snare", "a drum machine snare", "a snare hit"));
    say(s, "a %s snare", bright ? "bright" : "dull");
}

void hand_clap(sound *s) {
    begin(s, .3, .9);
    double t = .01, hz = uni(s, 900, 1500);
    int room_too = chance(s, .5);
    for (int k = 0; k < 3; k++, t += uni(s, .008, .014)) burst(s, t, .03, hz * .7, hz * 3.5, .006, 0, .8);
    burst(s, t, .4, hz * .7, hz * 3, uni(s, .03, .12), 0, 1);
    if (room_too) room(s, uni(s, .6, 1.6), .25);
    say(s, "%s", room_too ? "a hand clap in a room" : "a dry hand clap");
    say(s, "%s", ONE_OF(s, "an electronic clap", "a drum machine clap", "a single clap"));
}

/* Six squares that fit no scale, through a high-pass: the metal of drum machines. */
static void sizzle(sound *s, double tau, double hz, double floor_hz, double loud) {
    static const double ratios[] = {1, 1.342, 1.2312, 1.6532, 1.9523, 2.1523};
    float *y = zeros(s, s->n), *air = noise(s, s->n, floor_hz, 16000, 0);
    double shift[6];
    for (int k = 0; k < 6; k++) shift[k] = ratios[k] * uni(s, .97, 1.03) * hz / hz_rate;
    for (int i = 0; i < s->n; i++) {
        float sum = 0;
        for (int k = 0; k < 6; k++) sum += fmod(shift[k] * i, 1) < .5 ? .2f : -.2f;
        y[i] = sum + .5f * air[i];
    }
    high_pass(y, s->n, floor_hz), high_pass(y, s->n, floor_hz);
    for (int i = 441; i < s->n; i++) s->x[i] += (float) (loud * exp(-(i - 441) / (tau * hz_rate))) * y[i];
}

void hat(sound *s) {
    int open = chance(s, .4);
    begin(s, open ? .5 : .15, open ? 1.1 : .3);
    double tau = open ? uni(s, .1, .3) : uni(s, .015, .045);
    sizzle(s, tau, uni(s, 380, 620), uni(s, 5000, 8000), 1);
    say(s, open ? "an open hi-hat" : "a closed hi-hat");
    say(s, "%s", ONE_OF(s, "an electronic hi-hat", "a drum machine hi-hat", "a synthesized hat"));
}

void cymbal(sound *s) {
    begin(s, 1.5, 3.5);
    int ride = chance(s, .4);
    sizzle(s, ride ? uni(s, .3, .6) : uni(s, .5, 1), uni(s, 300, 560), ride ? 3500 : 2500, 1);
    burst(s, .01, 2.5, 2500, 14000, ride ? .05 : .4, .001, ride ? .3 : .7);
    for (int k = 0; ride && k < 5; k++) ring(s, .01, logu(s, 2500, 6500), uni(s, .1, .5), .12);
    fade(s, 0, .3);
    say(s, ride ? "a ride cymbal" : "a crash cymbal");
    say(s, "%s", ONE_OF(s, "an electronic cymbal", "a drum machine cymbal", "a cymbal"));
}

void tom(sound *s) {
    begin(s, .5, 1.1);
    double hz = logu(s, 65, 230);
    thump(s, .01, hz * uni(s, 1.3, 1.9), hz, .04, uni(s, .1, .3), 1);
    thump(s, .01, hz * 2.1, hz * 1.59, .03, .06, .3);
    burst(s, .01, .05, 300, 4000, .008, 0, .25);
    if (chance(s, .4)) room(s, .8, .15);
    const char *height = hz < 100 ? "low" : hz < 140 ? "mid" : "high";
    say(s, "a %s tom", height);
    say(s, "%s", ONE_OF(s, "an electronic tom drum", "a drum machine tom", "a tom drum"));
}

void tabla(sound *s) {
    begin(s, .4, 1.4);
    int kind = below(s, 3); /* bayan, dayan open, dayan closed: harmonic modes of a loaded skin (Raman 1934) */
    double hz = kind == 0 ? uni(s, 75, 125) : uni(s, 250, 420), tau = kind == 2 ? .03 : uni(s, .12, .4);
    static const mode skin[] = {{1, 1, 1}, {2, .7, .7}, {3, .5, .5}, {4, .3, .35}, {5, .15, .3}};
    if (kind == 0)
        thump(s, .01, hz * uni(s, .85, 1), hz * uni(s, 1, 1.6), .12, tau, 1), ring(s, .01, hz * 2.1, tau * .3, .3);
    else strike(s, .01, skin, 5, hz, tau, .7);
    burst(s, .01, .03, 800, 7000, .003, 0, kind == 2 ? .8 : .35);
    say(s, "%s",
        kind == 0   ? "a low tabla stroke"
        : kind == 1 ? "a ringing tabla stroke"
                    : "a short closed tabla stroke");
    say(s, "a tabla stroke");
    say(s, "%s", kind == 0 ? "a bayan hit with a pitch bend" : "a tabla hit");
}

void shaker(sound *s) {
    static const mode bars[] = {{1, 1, 1}, {2.76, .5, .4}, {5.4, .3, .2}};
    int kind = below(s, 5); /* shaker, cowbell, clave, wood block, tambourine */
    begin(s, .25, kind == 4 ? .7 : .5);
    if (kind == 0) burst(s, .01, .2, 3500, 14000, uni(s, .02, .05), uni(s, .01, .04), 1);
    if (kind == 1)
        for (int v = 0; v < 2; v++)
            for (int h = 1; h < 12; h += 2)
                ring(s, .01, (v ? 845 : 587) * h * uni(s, .99, 1.01), .12 / h + .02, .6 / h);
    if (kind == 2) strike(s, .01, bars, 2, uni(s, 2100, 2700), .03, 1);
    if (kind == 3) strike(s, .01, bars, 3, uni(s, 600, 1300), .02, 1), burst(s, .01, .01, 800, 6000, .002, 0, .3);
    if (kind == 4)
        for (int j = 0; j < 40; j++)
            ring(s, .01 + fabs(gauss(s)) * .03, logu(s, 4500, 12000), uni(s, .02, .12), uni(s, .05, .3));
    static const char *const words[][2] = {{"a shaker", "a maraca shake"},
                                           {"a cowbell", "an electronic cowbell"},
                                           {"claves", "a clave hit"},
                                           {"a wood block", "a wooden percussion hit"},
                                           {"a tambourine", "a tambourine hit"}};
    say(s, "%s", words[kind][0]);
    say(s, "%s", words[kind][1]);
    say(s, "a percussion hit");
}
