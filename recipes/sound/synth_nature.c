/* Weather, fire and water. Drops and bubbles follow van den Doel 2005, "Physically based models for liquid sounds": a bubble
 * rings at a rising pitch and dies away. */
#include "synth_rooms.h"

#include <math.h>

/* A surface that drops fall on: the corners of its noise, the pitch and decay of what rings. */
static const struct {
    const char *words[3];
    double low, high, ring_low, ring_high, ring_tau, ring_gain;
} surfaces[] = {
    {{"rain", "rain falling", "rain on the street"}, 500, 11000, 1500, 9000, .0015, .5},
    {{"rain on a tin roof", "rain drumming on a metal roof", "rain on corrugated iron"},
     700,
     7000,
     700,
     4200,
     .014,
     .9},
    {{"rain on leaves", "rain in a forest", "rain dripping on leaves"}, 900, 13000, 2500, 9000, .0012, .35},
    {{"rain on a window", "rain tapping on glass", "rain against a window pane"}, 600, 9000, 2200, 6000, .004, .7},
    {{"rain on a tent", "rain on canvas", "rain on an umbrella"}, 200, 4000, 300, 1600, .004, .9},
};

void rain(sound *s) {
    begin(s, 4, 9);
    int k = chance(s, .4) ? 0 : below(s, 5), weight = below(s, 3);
    const char *word = weight == 0   ? ONE_OF(s, "light", "gentle", "soft")
                       : weight == 1 ? ONE_OF(s, "steady", "moderate")
                                     : ONE_OF(s, "heavy", "pouring", "strong");
    static const double drops[] = {70, 180, 420}, hiss[] = {.08, .22, .5};
    mix(s, noise(s, s->n, surfaces[k].low * uni(s, .8, 1.4), surfaces[k].high, -.25), curve(s, s->n, .8, .8, 1.1),
        hiss[weight]);
    if (weight == 2) mix(s, noise(s, s->n, 100, 900, -.4), curve(s, s->n, .6, .6, 1), .22);
    double rate = drops[weight] * uni(s, .7, 1.4), length = length_of(s);
    for (double t = 0; t < length; t += -log(1 - uni(s, 0, .999)) / rate) {
        double loud = -log(1 - uni(s, 0, .999)) * surfaces[k].ring_gain * .35;
        if (chance(s, .6))
            ring(s, t, logu(s, surfaces[k].ring_low, surfaces[k].ring_high), surfaces[k].ring_tau * uni(s, .6, 1.8),
                 loud);
        else burst(s, t, .012, surfaces[k].low, surfaces[k].high, .002, 0, loud * .8);
    }
    say(s, "%s %s", word, surfaces[k].words[0]);
    say(s, "%s, %s", surfaces[k].words[1], word);
    say(s, "%s", surfaces[k].words[2]);
}

void thunder(sound *s) {
    begin(s, 3.5, 8);
    int near = chance(s, .5);
    double t = uni(s, .02, .1);
    if (near)
        for (int cracks = 3 + below(s, 8); cracks--; t += logu(s, .008, .09)) {
            double size = uni(s, .4, 1.2);
            burst(s, t, .5, 120, logu(s, 2500, 9000), .02 + .1 * size * uni(s, 0, 1), .001, size);
        }
    for (int rumbles = 5 + below(s, 9); rumbles--;) {
        double start = uni(s, 0, 1), long_ = uni(s, .6, 2.4), high = near ? logu(s, 120, 900) : logu(s, 70, 260);
        start = t + start * start * (length_of(s) - 2.2);
        int n = at_sample(long_ * 2.2), first = at_sample(start);
        float *y = noise(s, n, 22, high, -.6);
        double loud = uni(s, .3, 1) * (near ? 1 : .9);
        for (int i = 0; i < n && first + i < s->n; i++) {
            double now = (double) i / hz_rate;
            s->x[first + i] += (float) (loud * fmin(1, now / .08) * exp(-now / (long_ * .45))) * y[i];
        }
    }
    if (!near) low_pass(s->x, s->n, 400);
    room(s, 3, .35);
    fade(s, 0, 1);
    if (near)
        say(s, "%s", ONE_OF(s, "a close thunder crack", "a loud thunderclap", "thunder cracking nearby")),
            say(s, "thunder and lightning");
    else
        say(s, "%s", ONE_OF(s, "distant thunder rumbling", "thunder rolling far away", "a low rumble of thunder")),
            say(s, "distant thunder");
    say(s, "thunder");
}

void wind(sound *s) {
    begin(s, 5, 10);
    int kind = below(s, 4); /* soft, howling, gusty, in trees */
    double gust = kind == 2 ? 1.3 : .6;
    float *strength = curve(s, s->n, gust, kind == 2 ? .05 : .4, 1);
    mix(s, noise(s, s->n, 50, kind == 0 ? 350 : 600, -.5), strength, .6);
    if (kind == 1 || kind == 2) { /* air past an edge sings */
        for (int voices = 1 + below(s, 3); voices--;) {
            float *air = noise(s, s->n, 100, 4000, 0), *pitch = curve(s, s->n, gust * 1.2, .75, 1.35);
            double base = logu(s, 280, 900), sharp = uni(s, 8, 25);
            svf f = {0, 0};
            for (int i = 0; i < s->n; i++)
                s->x[i] += strength[i] * strength[i] * .35f *
                           svf_band(&f, air[i], base * pitch[i] * (.7 + .4 * strength[i]), sharp) / 3;
        }
    }
    if (kind == 3) {
        float *rustle = curve(s, s->n, 6, .1, 1);
        for (int i = 0; i < s->n; i++) rustle[i] *= strength[i];
        mix(s, noise(s, s->n, 2500, 11000, -.2), rustle, .35);
    } else {
        mix(s, noise(s, s->n, 1200, 6000, -.5), strength, .06);
    }
    static const char *const words[][3] = {{"soft wind", "a gentle breeze", "a light wind blowing"},
                                           {"howling wind", "wind howling", "strong wind whistling"},
                                           {"gusts of wind", "gusty wind", "a storm wind blowing in gusts"},
                                           {"wind in trees", "wind rustling leaves", "leaves rustling in the wind"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, kind == 1 || kind == 2 ? "strong wind" : "wind blowing");
}

void fire(sound *s) {
    begin(s, 4, 9);
    int big = below(s, 3); /* campfire, fireplace, blaze */
    double crackles = (big == 2 ? uni(s, 25, 60) : uni(s, 8, 28)), length = length_of(s);
    mix(s, noise(s, s->n, 35, big == 2 ? 500 : 300, -.3), curve(s, s->n, 6, .35, 1), big == 2 ? .5 : .2);
    mix(s, noise(s, s->n, 1200, 9000, -.3), curve(s, s->n, 4, .5, 1), big == 2 ? .12 : .04);
    for (double t = 0; t < length; t += -log(1 - uni(s, 0, .999)) / crackles) {
        double loud = pow(uni(s, 0, 1), 3) * 1.6 + .08, size = logu(s, .0006, .01);
        burst(s, t, size * 5, logu(s, 500, 3000), logu(s, 4000, 14000), size, 0, loud);
        if (chance(s, .12)) ring(s, t, logu(s, 700, 3000), .004, loud * .5); /* wood snaps */
    }
    static const char *const words[][3] = {{"a campfire crackling", "a small fire crackling", "a crackling campfire"},
                                           {"a fireplace", "fire crackling in a fireplace", "a cosy wood fire"},
                                           {"a large fire roaring", "a big blaze", "a roaring fire"}};
    say(s, "%s", words[big][below(s, 3)]);
    say(s, "%s", words[big][0]);
    say(s, "fire burning");
}

void waves(sound *s) {
    begin(s, 6, 10);
    int calm = chance(s, .5);
    double length = length_of(s), gap = calm ? uni(s, 2.6, 4) : uni(s, 1.3, 2.4);
    mix(s, noise(s, s->n, 80, 1500, -.4), NULL, calm ? .04 : .12);
    float *body = noise(s, s->n, 120, calm ? 1800 : 3200, -.5), *foam = noise(s, s->n, 2200, 11000, -.1);
    for (double t = -uni(s, 0, 2); t < length; t += gap * uni(s, .7, 1.3)) {
        double lasts = uni(s, 2.5, 5), loud = uni(s, .5, 1);
        for (int i = at_sample(t > 0 ? t : 0); i < s->n && i < at_sample(t + lasts); i++) {
            double u = clampd(((double) i / hz_rate - t) / lasts, 0, 1), swell = sin(3.14159265 * pow(u, .7));
            double u2 = u < .25 ? 0 : (u - .25) / .75, hiss = sin(3.14159265 * pow(u2, .55));
            s->x[i] += (float) (loud * (swell * swell * body[i] + .3 * hiss * hiss * hiss * foam[i]));
        }
    }
    say(s, "%s",
        calm ? ONE_OF(s, "gentle waves on a beach", "calm sea waves", "small waves lapping on the shore")
             : ONE_OF(s, "waves crashing on the shore", "rough sea waves", "big ocean waves breaking"));
    say(s, calm ? "a calm sea" : "a stormy sea");
    say(s, "%s", ONE_OF(s, "sea waves", "ocean waves", "waves on the beach"));
}

static void bubble(sound *s, double at, double hz, double loud) {
    double seconds = clampd(30 / hz, .01, .09), rise = uni(s, 0, .6);
    int n = at_sample(seconds), first = at_sample(at);
    double phase = 0, fall = hz * .11 + 25;
    for (int i = 0; i < n && first + i < s->n; i++) {
        double now = (double) i / hz_rate;
        phase += 6.28318531 * hz * (1 + rise * now / seconds) / hz_rate;
        s->x[first + i] += (float) (loud * sin(phase) * exp(-now * fall) * fmin(1, now / .001));
    }
}

void stream(sound *s) {
    begin(s, 4, 9);
    int kind = below(s, 3); /* brook, river, waterfall */
    double rate = kind == 0 ? uni(s, 50, 120) : kind == 1 ? uni(s, 100, 220) : 260, length = length_of(s);
    static const double hiss[] = {.05, .16, .7};
    mix(s, noise(s, s->n, kind == 2 ? 120 : 350, kind == 2 ? 9000 : 4500, kind == 2 ? -.35 : -.5),
        curve(s, s->n, 3, .75, 1.1), hiss[kind]);
    for (double t = 0; t < length; t += -log(1 - uni(s, 0, .999)) / rate)
        bubble(s, t, logu(s, kind == 0 ? 450 : 280, kind == 0 ? 2600 : 1900),
               -log(1 - uni(s, 0, .99)) * (kind == 2 ? .15 : .3));
    static const char *const words[][3] = {{"a small stream", "a babbling brook", "a little brook trickling"},
                                           {"a river flowing", "a stream flowing", "running water in a river"},
                                           {"a waterfall", "a rushing waterfall", "water falling from a waterfall"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "flowing water");
}

void drip(sound *s) {
    int many = chance(s, .6);
    begin(s, many ? 3 : .9, many ? 6 : 1.6);
    int cave = chance(s, .5);
    double gap = logu(s, .25, 1.1), length = length_of(s), base = logu(s, 600, 1500);
    for (double t = .03; t < length - .3; t += many ? gap * uni(s, .75, 1.3) : 99) {
        double loud = uni(s, .5, 1);
        burst(s, t, .006, 1500, 9000, .0015, 0, loud * .35);
        bubble(s, t + uni(s, .01, .03), base * uni(s, .8, 1.35), loud);
        if (chance(s, .4)) bubble(s, t + uni(s, .05, .1), base * uni(s, 1.2, 1.9), loud * .4);
    }
    room(s, cave ? 2.2 : .4, cave ? .6 : .12);
    if (many) {
        say(s, "%s dripping water%s", gap < .5 ? "fast" : "slowly", cave ? " in a cave" : "");
        say(s, "water drops%s", cave ? " echoing in a cave" : " falling from a tap");
        say(s, "a dripping tap");
    } else {
        say(s, "a single water drop%s", cave ? " with an echo" : "");
        say(s, "a drop of water");
    }
}

void splash(sound *s) {
    begin(s, 1, 2.5);
    int big = chance(s, .5);
    double t = uni(s, .02, .06), size = big ? 1 : .4;
    burst(s, t, .25, 90, 900, .04 + .06 * size, .004, size);
    burst(s, t + .01, 1.2, 400, 7000, .08 + .22 * size, .012, .6);
    burst(s, t + .12 * size, 1.5, 1800, 10000, .12 + .25 * size, .08, .25 * size + .1);
    for (int k = (int) (15 + 60 * size); k--;)
        bubble(s, t + .05 + fabs(gauss(s)) * .35 * (.5 + size), logu(s, 300, 2500), uni(s, .05, .45));
    if (chance(s, .3)) room(s, .6, .2);
    fade(s, 0, .2);
    say(s, big ? "a big splash" : "a small splash");
    say(s, "%s",
        big ? ONE_OF(s, "something heavy falling into water", "a large stone thrown into water",
                     "a loud splash in water")
            : ONE_OF(s, "a pebble dropped in water", "a small stone falling into water", "water splashing lightly"));
    say(s, "water splash");
}

void bubbles(sound *s) {
    begin(s, 2, 6);
    int kind = below(s, 3); /* under water, boiling, thick */
    double rate = kind == 1 ? uni(s, 60, 140) : kind == 0 ? uni(s, 10, 35) : uni(s, 3, 9), length = length_of(s);
    double low = kind == 2 ? 90 : kind == 1 ? 500 : 300, high = kind == 2 ? 300 : kind == 1 ? 2400 : 1500;
    float *when = curve(s, s->n, 2, .2, 1);
    for (double t = .02; t < length; t += -log(1 - uni(s, 0, .999)) / rate)
        if (uni(s, 0, 1) < when[at_sample(t)]) bubble(s, t, logu(s, low, high), uni(s, .2, 1));
    if (kind == 1) mix(s, noise(s, s->n, 150, 2500, -.5), when, .18);
    if (kind == 0) low_pass(s->x, s->n, 2500);
    static const char *const words[][3] = {{"bubbles under water", "air bubbles rising in water", "bubbles"},
                                           {"boiling water", "water boiling in a pot", "a pot boiling"},
                                           {"thick bubbling mud", "a bubbling swamp", "slow thick bubbles"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "bubbling");
}
