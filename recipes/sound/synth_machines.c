/* Engines, vehicles, machines and devices: sums of harmonics whose pitch follows a curve, noise gated by their phase, and
 * parts that clank. */
#include "synth_rooms.h"

#include <math.h>

static const double turn = 6.283185307179586;

/* An engine at hz[i] firings a second: harmonics of random weight, rough at half the rate, and gated intake noise. */
static void motor(sound *s, const float *hz, const float *level, double slope, double rough, double hiss) {
    float table[2048], weights[24], phases[24];
    for (int h = 0; h < 24; h++)
        weights[h] = (float) (uni(s, .25, 1) / pow(h + 1, slope)), phases[h] = (float) uni(s, 0, turn);
    for (int i = 0; i < 2048; i++) {
        table[i] = 0;
        for (int h = 0; h < 24; h++)
            table[i] += weights[h] * sinf((float) turn * (float) (h + 1) * (float) i / 2048 + phases[h]);
    }
    float *air = noise(s, s->n, 180, 3500, -.4), *jitter = curve(s, s->n, 25, 1 - .02 * rough, 1 + .02 * rough);
    double phase = uni(s, 0, 1), half = 0;
    for (int i = 0; i < s->n; i++) {
        double move = hz[i] * jitter[i] / hz_rate;
        phase += move, half += move / 2;
        phase -= (int) phase, half -= (int) half;
        double beat = 1 + rough * sin(turn * half), gate = .5 + .5 * sin(turn * phase);
        s->x[i] += level[i] * (tanhf((float) beat * table[(int) (phase * 2048) & 2047] * .7f) +
                               (float) (hiss * gate * beat) * air[i]);
    }
}

static float *flat(sound *s, double value) {
    float *y = zeros(s, s->n);
    for (int i = 0; i < s->n; i++) y[i] = (float) value;
    return y;
}

static const struct {
    const char *name;
    double low, high, slope, rough, hiss;
} motors[] = {{"car", 42, 75, .9, .3, .2},           {"truck", 20, 38, .7, .6, .35},
              {"motorcycle", 55, 110, .45, .7, .25}, {"diesel engine", 16, 30, .5, .8, .4},
              {"sports car", 70, 130, .5, .35, .2},  {"tractor", 13, 24, .6, .9, .35}};

void engine(sound *s) {
    begin(s, 3, 7);
    int m = below(s, 6), way = below(s, 4); /* idling, revving, accelerating, starting */
    double base = logu(s, motors[m].low, motors[m].high), length = length_of(s), top = uni(s, 1.8, 3.2);
    float *hz = zeros(s, s->n), *level = flat(s, 1);
    double begins = way == 3 ? uni(s, .5, 1.1) : 0, revs = uni(s, .7, 1.5);
    for (int i = 0; i < s->n; i++) {
        double t = (double) i / hz_rate, u = t / length, rev = 0;
        if (way == 1) rev = pow(fabs(sin(3.14159265 * t * revs / 1.6)), 1.6);
        if (way == 2) rev = fmod(u * 2.4, 1) * .8 + .2 * u;
        if (way == 3) rev = t < begins ? -.5 : exp(-(t - begins) * 2.5) * .7;
        hz[i] = (float) (base * (1 + (top - 1) * rev));
        level[i] = (float) (way == 3 && t < begins ? .25 * fabs(sin(turn * 4.5 * t)) : .55 + .45 * (rev > 0 ? rev : 0));
    }
    motor(s, hz, level, motors[m].slope, motors[m].rough, motors[m].hiss);
    if (chance(s, .4)) room(s, .5, .15);
    fade(s, .05, .15);
    static const char *const ways[] = {"idling", "revving", "accelerating", "starting"};
    say(s, "a %s%s %s", motors[m].name, m == 3 ? "" : chance(s, .5) ? " engine" : "", ways[way]);
    say(s, "%s engine %s", m == 3 ? "diesel" : motors[m].name, ways[way]);
    say(s, "an engine %s", ways[way]);
}

void pass_by(sound *s) {
    begin(s, 3.5, 7);
    int m = below(s, 5);
    double base = motors[m].high * uni(s, 1, 1.7), speed = uni(s, 10, 38), near = uni(s, 3, 12),
           middle = length_of(s) * uni(s, .35, .65);
    float *hz = zeros(s, s->n), *level = zeros(s, s->n), *road = noise(s, s->n, 250, 3500, -.4);
    for (int i = 0; i < s->n; i++) {
        double along = speed * ((double) i / hz_rate - middle), away = sqrt(near * near + along * along),
               toward = -speed * along / away;
        hz[i] = (float) (base * 343 / (343 - toward));
        level[i] = (float) pow(near / away, 1.2);
        road[i] *= level[i] * (float) (.25 + speed / 60);
    }
    motor(s, hz, level, motors[m].slope + .2, motors[m].rough * .6, motors[m].hiss);
    mix(s, road, NULL, .8);
    room(s, .8, .1);
    fade(s, .2, .3);
    const char *name = m == 3 ? "van" : motors[m].name;
    say(s, "a %s %s", name, speed > 24 ? "driving by fast" : "driving by slowly");
    say(s, "a %s passing by", name);
    say(s, "%s", ONE_OF(s, "a vehicle passing on a road", "traffic, one vehicle driving past", "a car passing"));
}

void helicopter(sound *s) {
    begin(s, 4, 8);
    int way = below(s, 3); /* hovering, near, passing */
    double blades = uni(s, 8, 19), sharp = uni(s, 4, 12), phase = 0, whine = uni(s, 300, 750), middle = uni(s, .3, .7);
    float *low = noise(s, s->n, 40, 700, -.3), *high = noise(s, s->n, 700, 6000, -.4),
          *drift = curve(s, s->n, 1, .97, 1.03);
    double turbine = 0;
    for (int i = 0; i < s->n; i++) {
        double u = (double) i / s->n, loud = way == 2 ? 1 / (1 + pow(5 * (u - middle), 2)) : 1;
        phase += blades * drift[i] * (way == 2 ? 1 + .07 * tanh(6 * (middle - u)) : 1) / hz_rate;
        double blade = exp(-sharp * (phase - (int) phase));
        turbine += turn * whine * drift[i] / hz_rate;
        s->x[i] +=
            (float) loud * ((float) blade * low[i] + (float) (blade * blade * .25 * (way == 1 ? 1.6 : 1)) * high[i] +
                            .03f * (float) sin(turbine));
    }
    if (way == 0) low_pass(s->x, s->n, 1800);
    fade(s, .2, .3);
    say(s, "%s",
        way == 0   ? "a distant helicopter"
        : way == 1 ? ONE_OF(s, "a helicopter hovering", "a helicopter close by")
                   : "a helicopter flying by");
    say(s, "%s", ONE_OF(s, "helicopter", "helicopter rotor blades", "a chopper flying"));
}

void plane(sound *s) {
    begin(s, 4, 8);
    int passing = chance(s, .5);
    double base = uni(s, 70, 130), middle = uni(s, .35, .65);
    float *hz = zeros(s, s->n), *level = zeros(s, s->n), *drift = curve(s, s->n, .7, .98, 1.02);
    for (int i = 0; i < s->n; i++) {
        double u = (double) i / s->n;
        hz[i] = (float) (base * drift[i] * (passing ? 1 + .16 * tanh(7 * (middle - u)) : 1));
        level[i] = (float) (passing ? 1 / (1 + pow(4.5 * (u - middle), 2)) : 1);
    }
    motor(s, hz, level, .6, .2, .25);
    fade(s, .2, .4);
    say(s, passing ? "a propeller plane flying by" : "a propeller plane in flight");
    say(s, "%s", ONE_OF(s, "a small aircraft", "a propeller plane", "an airplane engine droning"));
}

void rocket(sound *s) {
    int jet = chance(s, .4);
    begin(s, 2, 5.5);
    double length = length_of(s), rise = jet ? length * uni(s, .35, .6) : uni(s, .03, .25),
           fall = jet ? length * .3 : uni(s, .8, 2.5);
    float *body = noise(s, s->n, 40, jet ? 2500 : 1200, -.3), *hiss = noise(s, s->n, 1500, 9000, -.2),
          *flutter = curve(s, s->n, 22, .6, 1);
    double whine = jet ? uni(s, 900, 2600) : 0, phase = 0;
    for (int i = 0; i < s->n; i++) {
        double t = (double) i / hz_rate, loud = fmin(1, t / rise) * (t > length - fall ? (length - t) / fall : 1);
        phase += turn * whine * (1.1 - .25 * t / length) / hz_rate;
        s->x[i] += (float) loud *
                   (flutter[i] * body[i] + (float) (.22 * loud) * hiss[i] + (jet ? .07f * (float) sin(phase) : 0));
    }
    saturate(s, .7);
    room(s, 1.5, .2);
    say(s, jet ? "a jet plane flying over" : "a rocket launching");
    say(s, "%s",
        jet ? ONE_OF(s, "a jet taking off", "jet engine", "a fighter jet passing")
            : ONE_OF(s, "a missile launched", "rocket thrusters firing", "a rocket engine"));
    say(s, jet ? "jet" : "rocket");
}

void train(sound *s) {
    begin(s, 5, 9);
    int steam = chance(s, .5), whistle = chance(s, .35);
    double length = length_of(s), pace = steam ? uni(s, 2.2, 5.5) : uni(s, .9, 1.9);
    if (steam) {
        int k = 0;
        for (double t = .05; t < length - .2; t += 1 / pace, k++)
            burst(s, t, .9 / pace, 200, 4500, .35 / pace, .02, k % 4 ? .6 : 1);
        mix(s, noise(s, s->n, 1500, 8000, -.2), NULL, .05);
    } else {
        mix(s, noise(s, s->n, 40, 900, -.5), curve(s, s->n, 2, .7, 1), .45);
        for (double t = .05; t < length - .4; t += pace)
            for (int w = 0; w < 4; w++) { /* two axles, two rail joints */
                double at = t + (w & 1) * .13 * pace + (w >> 1) * .42 * pace;
                burst(s, at, .12, 150, 2600, .02, .001, .8);
                ring(s, at, uni(s, 90, 140), .05, .5);
            }
    }
    if (whistle) {
        double at = uni(s, .3, length * .5), lasts = uni(s, .8, 1.6), base = uni(s, 320, 520);
        static const double chord[] = {1, 1.19, 1.5, 1.78};
        for (int c = 0; c < 4; c++) chirp(s, at, lasts, base * chord[c], base * chord[c] * .985, .25, .35);
        burst(s, at, lasts, 1000, 5000, 9, .05, .12);
    }
    room(s, 1, .2);
    fade(s, .3, .4);
    say(s, "a %s train%s", steam ? "steam" : "railway",
        whistle ? " with its whistle blowing"
        : steam ? " chugging"
                : " rolling over rail joints");
    say(s, "%s",
        steam ? ONE_OF(s, "a steam locomotive", "a steam engine puffing")
              : ONE_OF(s, "a train passing", "train wheels clattering on the track"));
    say(s, "train");
}

void machine(sound *s) {
    begin(s, 4, 8);
    const double depth = uni(s, .08, .45);
    int kind = below(s, 4); /* factory, fan, pump, washing machine */
    double base = uni(s, 28, 120), length = length_of(s),
           beat = kind == 1   ? uni(s, 8, 25)
                  : kind == 2 ? uni(s, .8, 2)
                              : uni(s, 1.5, 7);
    float *air = noise(s, s->n, 100, kind == 1 ? 3500 : 1500, -.4), *hz = flat(s, base), *level = zeros(s, s->n);
    for (int i = 0; i < s->n; i++)
        level[i] = (float) (1 - depth + depth * sin(turn * beat * i / hz_rate)) * (kind == 1 ? .3f : .6f);
    motor(s, hz, level, .9, .15, .1);
    mix(s, air, level, kind == 1 ? 1.3 : .4);
    static const mode plate[] = {{1, 1, 1}, {1.58, .7, .8}, {2.24, .6, .6}, {2.92, .4, .5}, {3.46, .3, .4}};
    if (kind != 1)
        for (double t = uni(s, .02, .3); t < length - .2; t += 1 / beat) {
            burst(s, t, .25, kind == 2 ? 300 : 500, 5000, .05, .01, kind == 2 ? .6 : .2);
            if (kind == 0 && chance(s, .7)) strike(s, t, plate, 5, uni(s, 300, 900), .06, .3);
        }
    room(s, .9, .2);
    fade(s, .1, .2);
    static const char *const words[][3] = {
        {"a factory machine running", "machinery clanking in a factory", "an industrial machine"},
        {"a fan running", "an electric fan", "a ventilator humming"},
        {"a pump working", "a water pump", "a pumping machine"},
        {"a washing machine", "a household machine running", "a spinning motor"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "a machine running");
}

void drill(sound *s) {
    int hammer = chance(s, .45);
    begin(s, 1.5, 4);
    double length = length_of(s), base = hammer ? uni(s, 14, 32) : uni(s, 110, 240);
    if (hammer) {
        for (double t = .03; t < length - .1; t += uni(s, .95, 1.05) / base) {
            burst(s, t, .04, 200, 6000, .008, 0, uni(s, .7, 1));
            ring(s, t, uni(s, 140, 190), .012, .6);
        }
    } else {
        float *hz = zeros(s, s->n), *level = flat(s, .8);
        double bite = uni(s, .3, length * .6);
        for (int i = 0; i < s->n; i++) {
            double t = (double) i / hz_rate;
            hz[i] = (float) (base * fmin(1, .2 + 4 * t) * fmin(1, .1 + 5 * (length - t)) * (t > bite ? .8 : 1));
            if (t > bite) level[i] = 1;
        }
        motor(s, hz, level, .25, .3, .5);
    }
    room(s, .6, .2);
    fade(s, .01, .1);
    say(s, "%s",
        hammer ? ONE_OF(s, "a jackhammer", "a pneumatic drill breaking concrete", "a hammer drill")
               : ONE_OF(s, "an electric drill", "drilling into a wall", "a power drill"));
    say(s, "drilling");
}

void saw(sound *s) {
    int kind = below(s, 3); /* hand saw, circular saw, chainsaw */
    begin(s, 2, 5);
    double length = length_of(s);
    if (kind == 0) {
        double stroke = uni(s, .28, .5);
        int way = 0;
        for (double t = .03; t < length - stroke; t += stroke * uni(s, .95, 1.1), way = !way) {
            int n = at_sample(stroke * .85), first = at_sample(t);
            float *rasp = noise(s, n, way ? 900 : 600, way ? 7000 : 5000, -.2);
            double teeth = uni(s, 90, 140);
            for (int i = 0; i < n && first + i < s->n; i++) {
                double u = (double) i / n, bite = fmod((double) i / hz_rate * teeth * (.5 + sin(3.14159265 * u)), 1);
                s->x[first + i] += (float) (sin(3.14159265 * u) * (.4 + .6 * (1 - bite))) * rasp[i];
            }
        }
    } else {
        float *hz = zeros(s, s->n), *level = flat(s, 1), *load = curve(s, s->n, 1.3, 0, 1);
        double base = kind == 1 ? uni(s, 380, 620) : uni(s, 70, 120);
        for (int i = 0; i < s->n; i++)
            hz[i] = (float) (base * (1 - .25 * load[i]) * fmin(1, .4 + 2.0 * i / hz_rate)),
            level[i] = .6f + .4f * load[i];
        motor(s, hz, level, kind == 1 ? .35 : .3, kind == 1 ? .1 : .6, .5);
        mix(s, noise(s, s->n, 1800, 11000, -.1), load, kind == 1 ? .5 : .2);
    }
    room(s, .5, .12);
    fade(s, .02, .15);
    static const char *const words[][3] = {
        {"sawing wood by hand", "a hand saw cutting wood", "a person sawing a board"},
        {"a circular saw cutting wood", "a circular saw", "a table saw"},
        {"a chainsaw", "a chainsaw cutting a tree", "a chainsaw running"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "a saw");
}

void skid(sound *s) {
    begin(s, .8, 2.6);
    double base = uni(s, 600, 1300), lasts = length_of(s) - .2, phase = 0;
    float *drift = curve(s, s->n, 9, .93, 1.07), *rub = curve(s, s->n, 60, -.02, .02),
          *air = noise(s, s->n, 500, 7000, -.2), *grip = curve(s, s->n, 14, .5, 1);
    for (int i = 0; i < s->n; i++) {
        double u = (double) i / hz_rate / lasts;
        if (u > 1) break;
        phase += turn * base * (1.1 - .3 * u) * (drift[i] + rub[i]) / hz_rate;
        double loud = fmin(1, u * 12) * pow(1 - u, .5) * grip[i];
        s->x[i] += (float) loud * ((float) (sin(phase) + .5 * sin(2 * phase) + .3 * sin(3.01 * phase)) + .5f * air[i]);
    }
    int crash = chance(s, .15);
    if (crash) burst(s, lasts * .95, .3, 100, 6000, .06, .001, 3);
    room(s, .9, .2);
    say(s, "%s%s", ONE_OF(s, "car tyres skidding", "tyres screeching", "a car braking hard"),
        crash ? " and a crash" : "");
    say(s, "tyre screech");
}

void horn(sound *s) {
    int kind = below(s, 4), times = kind < 2 ? 1 + below(s, 3) : 1; /* car, truck, ship, bicycle */
    double each = kind == 2 ? uni(s, 1.5, 3) : kind == 3 ? .35 : uni(s, .2, .9);
    begin(s, times * (each + .2) + .4, times * (each + .2) + .7);
    double base = kind == 0   ? uni(s, 340, 480)
                  : kind == 1 ? uni(s, 150, 260)
                  : kind == 2 ? uni(s, 62, 120)
                              : uni(s, 280, 420),
           other = base * (kind == 3 ? 1 : uni(s, 1.18, 1.27));
    for (int k = 0; k < times; k++) {
        int first = at_sample(.03 + k * (each + .2)), n = at_sample(each);
        double a = 0, b = 0;
        for (int i = 0; i < n && first + i < s->n; i++) {
            double u = (double) i / n, bend = kind == 3 ? 1 + .5 * sin(3.14159265 * u) : fmin(1, .97 + i / 2000.0);
            a += base * bend / hz_rate, b += other * bend / hz_rate;
            double edge = fmin(1, fmin(i, n - i) / (kind == 2 ? 6000.0 : 700.0)), va = fmod(a, 1) < .3 ? 1 : -.43,
                   vb = fmod(b, 1) < .35 ? 1 : -.54;
            s->x[first + i] += (float) (edge * (va + (kind == 3 ? 0 : vb)));
        }
    }
    low_pass(s->x, s->n, kind == 2 ? 700 : 3800);
    resonate(s->x, s->n, kind == 2 ? 240 : 1500, 3, 2);
    room(s, kind == 2 ? 2.5 : .7, kind == 2 ? .4 : .15);
    static const char *const words[][2] = {{"a car horn", "car honking"},
                                           {"a truck horn", "a lorry horn"},
                                           {"a ship horn", "a foghorn"},
                                           {"a squeaky bicycle horn", "a rubber ball horn"}};
    say(s, "%s%s", words[kind][below(s, 2)], times > 1 ? ", honking several times" : "");
    say(s, "%s", words[kind][0]);
    say(s, "horn");
}
