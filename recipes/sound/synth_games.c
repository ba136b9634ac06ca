/* Sounds of games and films: lasers, coins, magic, sweeps, robots, drones. */
#include "synth_rooms.h"

#include <math.h>

static const double turn = 6.283185307179586;

static double shaped(double phase, int shape) {
    double p = phase - floor(phase);
    return shape == 0   ? sin(turn * p)
           : shape == 1 ? (p < .5 ? .7 : -.7)
           : shape == 2 ? 1.6 * p - .8
                        : 4 * fabs(p - .5) - 1;
}

/* A tone whose pitch goes from one frequency to another exponentially, and which dies away. */
static void sweep(sound *s, double at, double seconds, double from, double to, int shape, double tau, double loud) {
    int n = at_sample(seconds), first = at_sample(at);
    double phase = 0;
    for (int i = 0; i < n && first + i < s->n; i++) {
        double u = (double) i / n, now = (double) i / hz_rate;
        phase += from * pow(to / from, u) / hz_rate;
        s->x[first + i] += (float) (loud * exp(-now / tau) * fmin(1, fmin(i, n - i) / 90.0) * shaped(phase, shape));
    }
}

void laser(sound *s) {
    int kind = below(s, 4); /* zap, blaster, beam, burst */
    begin(s, kind == 2 ? 1 : .3, kind == 2 ? 3 : 1.2);
    int shape = below(s, 4), shots = kind == 3 ? 3 + below(s, 5) : 1;
    double from = logu(s, 1400, 6500), to = logu(s, 70, 550);
    if (kind == 2) {
        double phase = 0, base = logu(s, 90, 700), shake = uni(s, 8, 60);
        float *drift = curve(s, s->n, 3, .9, 1.12);
        for (int i = 0; i < s->n; i++) {
            phase += base * drift[i] * (1 + .06 * sin(turn * shake * i / hz_rate)) / hz_rate;
            s->x[i] += (float) (.5 * shaped(phase, 2) + .4 * shaped(phase * 1.503, 2) + .15 * shaped(phase * 4.01, 0));
        }
        fade(s, .03, .15);
    } else
        for (int k = 0; k < shots; k++) {
            double t = .01 + k * uni(s, .1, .14), lasts = kind == 1 ? uni(s, .15, .35) : uni(s, .1, .6);
            sweep(s, t, lasts, from, to, shape, lasts * .45, .8);
            if (kind == 1) burst(s, t, lasts, 400, 6000, .03, 0, .5);
        }
    if (chance(s, .5)) room(s, uni(s, .5, 1.5), .2);
    static const char *const words[][3] = {{"a laser zap", "a short laser shot", "a retro laser"},
                                           {"a blaster shot", "a sci-fi blaster", "a laser gun fired"},
                                           {"a laser beam", "an energy beam", "a continuous laser beam"},
                                           {"rapid laser fire", "several laser shots", "a burst of laser shots"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "laser");
}

void coin(sound *s) {
    begin(s, .35, 1.1);
    int kind = below(s, 3); /* retro coin, real coins, item */
    static const double ratios[] = {1.26, 1.335, 1.498, 1.335};
    double hz = uni(s, 600, 1600), gap = uni(s, .05, .09);
    if (kind == 1) {
        static const mode disc[] = {{1, 1, 1}, {1.68, .8, .8}, {2.4, .6, .6}, {3.6, .4, .5}};
        for (int k = 2 + below(s, 7); k--;)
            strike(s, .02 + fabs(gauss(s)) * .15, disc, 4, uni(s, 2800, 5800), uni(s, .02, .1), uni(s, .2, .7));
    } else {
        sweep(s, .01, gap, hz, hz, 1, 9, .7);
        sweep(s, .01 + gap, uni(s, .2, .5), hz * ratios[below(s, 4)], hz * ratios[below(s, 4)], kind ? 3 : 1, .15, .7);
        if (kind == 2) sweep(s, .01 + 2 * gap, .3, hz * 2, hz * 2, 3, .12, .5);
    }
    static const char *const words[][3] = {{"a coin pickup", "a retro game coin", "collecting a coin in a video game"},
                                           {"coins jingling", "a handful of coins", "coins dropped"},
                                           {"an item pickup", "collecting an item in a game", "a game bonus sound"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, kind == 1 ? "money" : "pickup");
}

void jump(sound *s) {
    begin(s, .25, .7);
    double from = logu(s, 120, 450), lasts = uni(s, .12, .4);
    int down = chance(s, .2), shape = below(s, 4);
    sweep(s, .01, lasts, down ? from * 3 : from, down ? from : from * uni(s, 1.8, 4), shape, lasts, .8);
    say(s, "%s",
        down ? ONE_OF(s, "a falling game sound", "landing in a video game")
             : ONE_OF(s, "a video game jump", "a cartoon jump", "a character jumping in a retro game"));
    say(s, "jump");
}

void power_up(sound *s) {
    begin(s, .7, 1.8);
    int shape = 1 + below(s, 3), notes = 4 + below(s, 6), slide = chance(s, .3);
    double hz = uni(s, 250, 600), gap = uni(s, .04, .1);
    static const int steps[][4] = {{0, 4, 7, 12}, {0, 5, 7, 12}, {0, 3, 7, 10}};
    const int *chord = steps[below(s, 3)];
    if (slide) sweep(s, .01, length_of(s) * .8, hz, hz * 5, shape, 2, .7);
    else
        for (int k = 0; k < notes; k++) {
            double f = hz * exp2((chord[k % 4] + 12 * (k / 4)) / 12.0);
            sweep(s, .01 + k * gap, k == notes - 1 ? .4 : gap, f, f, shape, .25, .7);
        }
    if (chance(s, .4)) room(s, .8, .2);
    say(s, "%s",
        slide ? ONE_OF(s, "a rising power-up", "charging up energy")
              : ONE_OF(s, "a power-up", "a level up jingle", "a rising game bonus jingle"));
    say(s, "power-up in a video game");
    say(s, "power-up");
}

void game_over(sound *s) {
    begin(s, .9, 2);
    int shape = 1 + below(s, 3), notes = 3 + below(s, 3);
    double hz = uni(s, 300, 600), gap = uni(s, .12, .28), f = hz;
    for (int k = 0; k < notes; k++, f *= exp2(-(1 + below(s, 4)) / 12.0))
        sweep(s, .01 + k * gap, k == notes - 1 ? .6 : gap * .9, f, k == notes - 1 ? f * .9 : f, shape, .5, .7);
    say(s, "%s", ONE_OF(s, "a game over jingle", "a falling sad game melody", "losing in a video game"));
    say(s, "game over");
}

void magic(sound *s) {
    begin(s, 1.2, 3);
    int kind = below(s, 3); /* sparkle, teleport, spell */
    double length = length_of(s);
    static const double scale[] = {1, 1.122, 1.26, 1.498, 1.682};
    if (kind == 0)
        for (int k = 14 + below(s, 30); k--;) {
            double u = uni(s, 0, 1), t = .02 + u * (length - .7);
            ring(s, t, 1500 * scale[below(s, 5)] * exp2(floor(u * 2.99)), uni(s, .06, .3), uni(s, .1, .5));
        }
    if (kind == 1) {
        double phase = 0, shake = uni(s, 10, 30);
        for (int i = 0; i < s->n; i++) {
            double u = (double) i / s->n;
            phase += (200 + 2600 * u * u) * (1 + .2 * sin(turn * shake * (1 + u) * i / hz_rate)) / hz_rate;
            s->x[i] += (float) (sin(3.14159265 * u) * (sin(turn * phase) + .4 * sin(turn * 1.51 * phase)));
        }
    }
    if (kind == 2) {
        int n = at_sample(length - .4);
        float *air = noise(s, n, 300, 9000, -.1);
        svf f = {0, 0}, g = {0, 0};
        for (int i = 0; i < n; i++) {
            double u = (double) i / n, hz = 350 * pow(12, u), loud = pow(u, .6) * pow(1 - u, .4);
            s->x[i] += (float) loud * .4f * (svf_band(&f, air[i], hz, 9) + svf_band(&g, air[i], hz * 1.5, 9));
        }
        for (int k = 0; k < 8; k++)
            ring(s, length * uni(s, .4, .7), 900 * scale[below(s, 5)] * (1 + below(s, 2)), uni(s, .1, .4), .3);
    }
    room(s, 2, .45);
    fade(s, .01, .3);
    static const char *const words[][3] = {{"magic sparkles", "a twinkling magic sound", "fairy dust"},
                                           {"a teleport", "teleporting", "a sci-fi teleporter"},
                                           {"a magic spell being cast", "a spell", "casting a magic spell"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "magic");
}

void whoosh(sound *s) {
    int fast = chance(s, .5);
    begin(s, fast ? .3 : .8, fast ? .7 : 2);
    double peak = uni(s, .35, .65), low = uni(s, 150, 500), high = uni(s, 1500, 6000), sharp = uni(s, .8, 3);
    float *air = noise(s, s->n, 80, 12000, -.2);
    svf f = {0, 0};
    for (int i = 0; i < s->n; i++) {
        double u = (double) i / s->n, open = u < peak ? u / peak : (1 - u) / (1 - peak);
        s->x[i] += (float) pow(open, 1.8) * svf_band(&f, air[i], low * pow(high / low, pow(open, 1.2)), sharp);
    }
    say(s, "%s",
        fast ? ONE_OF(s, "a fast whoosh", "a sword swing", "something flying past quickly")
             : ONE_OF(s, "a long whoosh", "a slow swoosh", "a large object moving through the air"));
    say(s, fast ? "a swish" : "a swoosh");
    say(s, "whoosh");
}

void riser(sound *s) {
    begin(s, 2, 5);
    int down = chance(s, .4), noisy = chance(s, .5);
    double low = logu(s, 60, 300), high = logu(s, 1500, 6000), phase = 0;
    float *air = noise(s, s->n, 80, 14000, 0);
    svf f = {0, 0};
    for (int i = 0; i < s->n; i++) {
        double u = (double) i / s->n, v = down ? 1 - u : u, hz = low * pow(high / low, v);
        phase += hz / hz_rate;
        float part =
            noisy ? svf_band(&f, air[i], hz, 3) : (float) (.5 * shaped(phase, 2) + .4 * shaped(phase * 1.007, 2));
        s->x[i] += (float) (.15 + .85 * v) * part;
    }
    low_pass(s->x, s->n, 7000);
    room(s, 1.5, .25);
    fade(s, .02, .05);
    say(s, "%s",
        down ? ONE_OF(s, "a falling sweep", "a downward sweep", "a downlifter")
             : ONE_OF(s, "a rising sweep", "a riser building up", "an upward sweep"));
    say(s, "a %s %s sweep", down ? "falling" : "rising", noisy ? "noise" : "synth");
    say(s, "sweep");
}

void boing(sound *s) {
    begin(s, .7, 1.6);
    double hz = uni(s, 90, 240), shake = uni(s, 9, 17), phase = 0, tau = uni(s, .25, .5);
    for (int i = 0; i < s->n; i++) {
        double t = (double) i / hz_rate;
        phase += hz * (1 + .5 * exp(-t / .3) * sin(turn * shake * t)) * (1 + .4 * t) / hz_rate;
        s->x[i] +=
            (float) (exp(-t / tau) * (shaped(phase, 3) + .4 * sin(turn * 3.02 * phase) + .2 * sin(turn * 5.1 * phase)));
    }
    say(s, "%s", ONE_OF(s, "a cartoon boing", "a spring bouncing", "a rubbery boing"));
    say(s, "a cartoon spring");
}

void slide_whistle(sound *s) {
    begin(s, .7, 1.8);
    int up = chance(s, .5);
    double low = uni(s, 450, 700), high = uni(s, 1200, 2300), phase = 0, lasts = length_of(s) - .1;
    float *air = noise(s, s->n, 800, 5000, 0);
    for (int i = 0; i < at_sample(lasts); i++) {
        double u = (double) i / at_sample(lasts), v = up ? u : 1 - u, edge = fmin(1, fmin(u, 1 - u) * 14);
        phase += low * pow(high / low, v * v * (3 - 2 * v)) * (1 + .01 * sin(turn * 6 * i / hz_rate)) / hz_rate;
        s->x[i] += (float) edge * ((float) (sin(turn * phase) + .1 * sin(turn * 2 * phase)) + .05f * air[i]);
    }
    say(s, "a slide whistle going %s", up ? "up" : "down");
    say(s, "a cartoon slide whistle");
    say(s, "%s", up ? "a cartoon rise" : "a cartoon fall");
}

void pop(sound *s) {
    begin(s, .15, .5);
    int kind = below(s, 2);
    double hz = uni(s, 250, 700);
    if (kind) {
        burst(s, .01, .1, 200, 9000, .006, 0, 1);
        chirp(s, .01, .05, hz * 1.5, hz * .6, .3, .6);
    } else chirp(s, .01, uni(s, .04, .09), hz, hz * uni(s, 1.6, 3), .5, 1);
    room(s, .3, .1);
    say(s, kind ? "a balloon popping" : "a mouth pop");
    say(s, "%s", kind ? ONE_OF(s, "a cork popping", "a balloon burst") : ONE_OF(s, "a cartoon pop", "a bubbly plop"));
    say(s, "pop");
}

void robot(sound *s) {
    begin(s, .8, 2.8);
    double t = .02, length = length_of(s), base = uni(s, 250, 900);
    int kind = below(s, 2);
    while (t < length - .15) {
        double lasts = uni(s, .04, .2), f = base * exp2(below(s, 17) / 6.0 - 1);
        if (kind) sweep(s, t, lasts, f, f * uni(s, .5, 2.2), below(s, 4), .5, .7);
        else {
            int n = at_sample(lasts), first = at_sample(t);
            double ratio = uni(s, .4, 3), depth = uni(s, 1, 6);
            for (int i = 0; i < n && first + i < s->n; i++) {
                double now = (double) i / hz_rate;
                s->x[first + i] += (float) (.8 * fmin(1, fmin(i, n - i) / 90.0) *
                                            sin(turn * f * now + depth * sin(turn * f * ratio * now)));
            }
        }
        t += lasts * uni(s, 1, 1.6);
    }
    if (chance(s, .4)) room(s, .7, .15);
    say(s, "%s",
        kind ? ONE_OF(s, "a robot talking in beeps", "a droid beeping", "a computer calculating with bleeps")
             : ONE_OF(s, "a glitchy electronic sound", "a robot malfunctioning", "digital glitch noises"));
    say(s, "electronic sounds");
    say(s, kind ? "robot" : "glitch");
}

void drone(sound *s) {
    begin(s, 5, 10);
    int dark = chance(s, .6);
    double base = dark ? uni(s, 38, 85) : uni(s, 100, 240);
    static const double ratios[] = {1, 1.003, 1.5, 2, 2.01, 3, 4.02, 5};
    for (int v = 0; v < 7; v++) {
        float *level = curve(s, s->n, .6, 0, 1), *wander = curve(s, s->n, .4, .996, 1.004);
        double phase = uni(s, 0, 1), f = base * ratios[below(s, 8)];
        int shape = dark && v < 3 ? 2 : 0;
        for (int i = 0; i < s->n; i++) {
            phase += f * wander[i] / hz_rate;
            s->x[i] += level[i] * (float) shaped(phase, shape) / (1 + .35f * (float) v);
        }
    }
    low_pass(s->x, s->n, dark ? uni(s, 300, 900) : 3500);
    mix(s, noise(s, s->n, 60, 1500, -.5), curve(s, s->n, .5, 0, 1), .12);
    room(s, 3, .4);
    fade(s, .3, .6);
    say(s, "%s",
        dark ? ONE_OF(s, "a dark drone", "a low ominous drone", "a deep rumbling synth drone")
             : ONE_OF(s, "a bright drone", "a shimmering drone", "a warm droning tone"));
    say(s, "a slowly changing drone");
    say(s, "drone");
}

void ambience(sound *s) {
    begin(s, 6, 10);
    int kind = below(s, 3); /* cave, spaceship, haunted */
    if (kind == 0) {
        mix(s, noise(s, s->n, 30, 250, -.4), curve(s, s->n, .6, .3, 1), .5);
        for (double t = uni(s, 0, 1); t < length_of(s) - .5; t += uni(s, .5, 2.5))
            ring(s, t, logu(s, 700, 2000), .02, uni(s, .1, .5));
        room(s, 3, .8);
    } else if (kind == 1) {
        double base = uni(s, 45, 90);
        for (int h = 1; h < 9; h++) {
            float *level = curve(s, s->n, .5, .3, 1);
            for (int i = 0; i < s->n; i++)
                s->x[i] += level[i] * (float) sin(turn * base * h * (1 + .002 * h) * i / hz_rate) / h;
        }
        mix(s, noise(s, s->n, 150, 1800, -.3), curve(s, s->n, .4, .5, 1), .35);
        for (double t = uni(s, .5, 2); t < length_of(s) - .3; t += uni(s, 1.5, 4))
            chirp(s, t, .08, 1800, 1800, .4, .12);
    } else {
        float *air = noise(s, s->n, 150, 3000, 0), *pitch = curve(s, s->n, .8, 300, 1100),
              *level = curve(s, s->n, .7, 0, 1);
        for (int v = 0; v < 3; v++) {
            svf f = {0, 0};
            double ratio = 1 + .498 * v;
            for (int i = 0; i < s->n; i++) s->x[i] += level[i] * .1f * svf_band(&f, air[i], pitch[i] * ratio, 40);
        }
        mix(s, noise(s, s->n, 30, 140, -.3), curve(s, s->n, .5, .2, 1), .4);
        room(s, 3.5, .6);
    }
    fade(s, .4, .6);
    static const char *const words[][3] = {
        {"a cave ambience", "inside a dark wet cave", "an underground cavern"},
        {"a spaceship interior", "a sci-fi ambience", "the hum inside a spaceship"},
        {"a haunted house ambience", "an eerie horror ambience", "a ghostly atmosphere"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "ambience");
}

void sub_drop(sound *s) {
    begin(s, 1.5, 4);
    int metallic = chance(s, .4);
    sweep(s, .02, length_of(s) - .1, uni(s, 90, 180), uni(s, 22, 34), 0, length_of(s) * .4, 1);
    burst(s, .02, .6, 40, metallic ? 6000 : 900, .06, 0, .8);
    static const mode plate[] = {{1, 1, 1}, {1.52, .7, .9}, {2.14, .8, .7}, {2.87, .5, .6}};
    if (metallic) strike(s, .02, plate, 4, uni(s, 120, 300), .7, .3);
    saturate(s, 1.3);
    room(s, 3, .4);
    fade(s, 0, .4);
    say(s, "%s", ONE_OF(s, "a cinematic boom", "a film trailer hit", "a deep bass drop"));
    say(s, metallic ? "a metallic trailer impact" : "a deep boom");
    say(s, "cinematic impact");
}
