/* Animals: chirps of swept tones, stridulation, and throats (a pulse through formants). */
#include "synth_rooms.h"

#include <math.h>

/* One syllable of a bird: a tone that glides and trembles. */
static void syllable(sound *s, double at, double seconds, double from, double to, double tremble, double depth,
                     double loud) {
    int n = at_sample(seconds), first = at_sample(at);
    double phase = 0, wave = uni(s, 0, 6.28);
    for (int i = 0; i < n && first + i < s->n; i++) {
        double u = (double) i / n, envelope = pow(sin(3.14159265 * u), .7);
        wave += 6.28318531 * tremble / hz_rate;
        phase += 6.28318531 * (from + (to - from) * u + depth * sin(wave)) / hz_rate;
        s->x[first + i] += (float) (loud * envelope * (sin(phase) + .12 * sin(2 * phase)));
    }
}

void birds(sound *s) {
    int many = chance(s, .6);
    begin(s, many ? 4 : 1, many ? 8 : 2.5);
    int species = many ? 2 + below(s, 4) : 1;
    double length = length_of(s);
    for (int b = 0; b < species; b++) {
        double base = logu(s, 2000, 5500), loud = many ? uni(s, .15, 1) : 1, tremble = uni(s, 15, 90),
               depth = base * uni(s, 0, .14);
        double bend = uni(s, .7, 1.45), size = logu(s, .03, .17), gap = size * uni(s, 1.15, 2.2);
        int trill = chance(s, .35), in_phrase = 1 + below(s, trill ? 14 : 6);
        for (double t = uni(s, 0, many ? 2 : .1); t < length - .2; t += uni(s, .6, 2.2)) {
            double shift = uni(s, .92, 1.08);
            for (int k = 0; k < in_phrase && t < length - .2; k++, t += trill ? size * 1.1 : gap)
                syllable(s, t, size * uni(s, .85, 1.15), base * shift,
                         base * shift * (trill ? bend : bend * uni(s, .85, 1.2)), tremble, depth, loud * uni(s, .7, 1));
            if (!many) break;
        }
    }
    int outdoors = chance(s, .5);
    if (outdoors) mix(s, noise(s, s->n, 100, 3000, -.5), curve(s, s->n, 1, .5, 1), .02);
    room(s, 1.2, .12);
    if (many) {
        say(s, "%s", ONE_OF(s, "birds singing", "several birds chirping", "birdsong in the morning"));
        say(s, "%s", ONE_OF(s, "birds in a forest", "birds chirping in a garden", "songbirds"));
    } else {
        say(s, "%s", ONE_OF(s, "a bird chirping", "a single bird call", "a songbird"));
        say(s, "a small bird");
    }
    say(s, "birds");
}

void crickets(sound *s) {
    begin(s, 4, 9);
    int voices = 1 + below(s, 4);
    for (int v = 0; v < voices; v++) {
        double hz = logu(s, 3200, 6200), beat = uni(s, 25, 65), chirps = uni(s, .9, 3.4), share = uni(s, .3, .8),
               phase = uni(s, 0, 6.28), at = uni(s, 0, 1), loud = v ? uni(s, .15, .6) : 1;
        int steady = chance(s, .25);
        float *drift = curve(s, s->n, 1, .97, 1.03);
        for (int i = 0; i < s->n; i++) {
            phase += 6.28318531 * hz * drift[i] / hz_rate;
            at += chirps * drift[i] / hz_rate;
            double inside = fmod(at, 1) / share, now = (double) i / hz_rate,
                   wing = sin(3.14159265 * fmod(now * beat, 1));
            double envelope = steady ? 1 : inside < 1 ? fmin(1, fmin(inside, 1 - inside) * 8) : 0;
            s->x[i] += (float) (loud * envelope * wing * wing * (sin(phase) + .15 * sin(2 * phase)));
        }
    }
    mix(s, noise(s, s->n, 200, 5000, -.3), NULL, .01);
    say(s, "%s",
        voices > 1 ? ONE_OF(s, "crickets chirping at night", "crickets in a meadow", "several crickets")
                   : ONE_OF(s, "a cricket chirping", "a single cricket", "one cricket at night"));
    say(s, "crickets");
    say(s, "insects chirping at night");
}

void cicada(sound *s) {
    begin(s, 4, 8);
    double hz = logu(s, 4200, 7500), pulse = uni(s, 90, 220), swell = uni(s, .2, 1.5);
    float *air = noise(s, s->n, 1000, 16000, 0), *loud = curve(s, s->n, swell, .25, 1);
    svf f = {0, 0}, g = {0, 0};
    for (int i = 0; i < s->n; i++) {
        double gate = .5 + .5 * sin(6.28318531 * pulse * i / hz_rate);
        s->x[i] +=
            loud[i] * (float) (gate * gate) *
            (svf_band(&f, air[i], hz, 9) + .6f * svf_band(&g, air[i], hz * 1.31 > 6700 ? hz * .81 : hz * 1.31, 12)) *
            .3f;
    }
    say(s, "%s", ONE_OF(s, "cicadas singing in the heat", "a cicada buzzing", "cicadas on a summer day"));
    say(s, "cicadas");
    say(s, "insects buzzing");
}

void fly(sound *s) {
    begin(s, 2.5, 5);
    int small = chance(s, .5);
    double hz = small ? uni(s, 380, 620) : uni(s, 130, 240), phase = 0;
    float *drift = curve(s, s->n, 4, .9, 1.1), *near = curve(s, s->n, 1.1, .08, 1),
          *air = noise(s, s->n, 300, 6000, -.3);
    for (int i = 0; i < s->n; i++) {
        phase += hz * drift[i] * (.92 + .12 * near[i]) / hz_rate;
        double saw = 2 * fmod(phase, 1) - 1;
        s->x[i] += (float) (near[i] * near[i] * (saw * .6 + .15 * air[i] * (.5 + .5 * saw)));
    }
    high_pass(s->x, s->n, 150);
    low_pass(s->x, s->n, 6000);
    say(s, small ? "a mosquito flying by" : "%s",
        ONE_OF(s, "a fly buzzing around", "a bee buzzing", "a bumblebee flying"));
    say(s, "%s", small ? "a mosquito whining" : "an insect buzzing");
    say(s, "insect buzz");
}

void frog(sound *s) {
    int many = chance(s, .5);
    begin(s, many ? 4 : .8, many ? 7 : 2);
    double length = length_of(s);
    for (int f = many ? 2 + below(s, 4) : 1; f--;) {
        double hz = logu(s, 350, 1500), pulses = uni(s, 25, 80), size = uni(s, .15, .45), gap = uni(s, .5, 1.4),
               loud = many ? uni(s, .3, 1) : 1;
        for (double t = uni(s, 0, many ? 1 : .05); t < length - size; t += gap * uni(s, .85, 1.2)) {
            for (double p = 0; p < size; p += 1 / pulses) {
                double u = p / size, envelope = loud * sin(3.14159265 * pow(u, .6));
                ring(s, t + p, hz * (.85 + .25 * u), .006, envelope);
                ring(s, t + p, hz * 2.3 * (.9 + .15 * u), .003, envelope * .5);
            }
            if (!many && chance(s, .4)) break;
        }
    }
    if (many) mix(s, noise(s, s->n, 150, 4000, -.4), NULL, .015);
    room(s, .9, .15);
    say(s, "%s",
        many ? ONE_OF(s, "frogs croaking in a pond", "several frogs at night", "a chorus of frogs")
             : ONE_OF(s, "a frog croaking", "a single frog croak", "a toad"));
    say(s, many ? "frogs" : "frog croak");
}

void owl(sound *s) {
    begin(s, 2, 4);
    static const double rhythm[][4] = {{0, .9, 1.15, 1.35}, {0, .45, .8, 9}, {0, 1.1, 9, 9}, {0, .3, .6, .95}};
    int k = below(s, 4), distant = chance(s, .4);
    double hz = uni(s, 270, 460), size = uni(s, .22, .55);
    for (int h = 0; h < 4 && rhythm[k][h] < 2; h++) {
        double t = .05 + rhythm[k][h], lasts = h == 3 || h == 0 ? size : size * .5;
        syllable(s, t, lasts, hz * 1.02, hz * .93, 6, 4, 1);
        burst(s, t, lasts, hz * .8, hz * 2, lasts, lasts * .4, .05);
    }
    room(s, 2.2, distant ? .8 : .25);
    if (distant) low_pass(s->x, s->n, 1200);
    say(s, distant ? "a distant owl hooting" : "an owl hooting");
    say(s, "%s", ONE_OF(s, "an owl at night", "owl hoot", "an owl calling in the dark"));
}

void cat(sound *s) {
    begin(s, .7, 1.7);
    double high = uni(s, 480, 780), lasts = length_of(s) - .15;
    throat t = {{high * .75, high, high * .6}, {900, 1700, 3300}, .04, .05, .08, .2, .3};
    voice(s, .02, lasts * .45, &(throat){{high * .7, high * .85, high}, {600, 2300, 3400}, .04, .05, .05, .02, .3}, .5);
    voice(s, .02 + lasts * .42, lasts * .58, &t, 1);
    room(s, .4, .12);
    int kitten = high > 650;
    say(s, kitten ? "a kitten meowing" : "a cat meowing");
    say(s, "%s", ONE_OF(s, "a meow", "cat meow", "a cat"));
}

void dog(sound *s) {
    int small = chance(s, .45), barks = 1 + below(s, 4);
    begin(s, .35 + .45 * barks, .5 + .55 * barks);
    double pitch = small ? uni(s, 480, 750) : uni(s, 170, 330), size = small ? uni(s, .08, .14) : uni(s, .13, .24),
           length = length_of(s);
    double f1 = small ? 1100 : 620, t = .03;
    for (int b = 0; b < barks && t < length - size; b++, t += size + uni(s, .15, .35)) {
        double p = pitch * uni(s, .93, 1.07);
        throat bark = {
            {p * .8, p * 1.15, p * .7}, {f1 * uni(s, .9, 1.1), f1 * 2.1, f1 * 4.2}, .35, .5, .008, size * .7, .35};
        voice(s, t, size, &bark, uni(s, .8, 1));
        burst(s, t, size * .8, f1 * .8, f1 * 5, size * .35, .006, .12);
    }
    saturate(s, .8);
    room(s, .7, .15);
    say(s, "%s %s dog barking%s", "a", small ? "small" : "big", barks == 1 ? " once" : "");
    say(s, "a dog %s", barks > 1 ? "barking several times" : "barking once");
    say(s, "%s", ONE_OF(s, "dog bark", "a barking dog", "a dog"));
}

void crow(sound *s) {
    int caws = 1 + below(s, 4);
    begin(s, .4 + .55 * caws, .6 + .65 * caws);
    double pitch = uni(s, 380, 560), size = uni(s, .22, .4), length = length_of(s), t = .03;
    for (int c = 0; c < caws && t < length - size; c++, t += size + uni(s, .12, .4)) {
        throat caw = {{pitch * .9, pitch * 1.05, pitch * .8}, {1150, 1900, 3300}, .5, .5, .02, .06, .2};
        voice(s, t, size, &caw, 1);
    }
    room(s, 1.3, .2);
    say(s, caws > 1 ? "a crow cawing" : "a single crow caw");
    say(s, "%s", ONE_OF(s, "a crow", "a raven calling", "crow call"));
}

void rooster(sound *s) {
    begin(s, 1.8, 2.4);
    double p = uni(s, 420, 560);
    static const double parts[4][3] = {{.02, .18, .9}, {.28, .14, 1.15}, {.5, .22, 1.2}, {.8, .85, 1.35}};
    for (int k = 0; k < 4; k++) {
        double q = p * parts[k][2];
        throat t = {
            {q * .85, q * 1.1, q * (k == 3 ? .72 : .95)}, {1000, 2100, 3500}, .16, .3, .03, k == 3 ? .35 : .05, .3};
        voice(s, parts[k][0], parts[k][1], &t, k == 3 ? 1 : .7);
    }
    room(s, 1, .15);
    say(s, "%s", ONE_OF(s, "a rooster crowing", "a cock crowing in the morning", "a rooster on a farm"));
    say(s, "rooster");
}

void sheep(sound *s) {
    begin(s, .8, 1.8);
    int goat = chance(s, .4);
    double p = goat ? uni(s, 300, 420) : uni(s, 170, 270), lasts = length_of(s) - .1, shake = uni(s, 6, 9);
    throat t = {{p, p * 1.06, p * .9}, {goat ? 800 : 620, 1750, 2700}, .12, .25, .06, .2, .05};
    voice(s, .02, lasts, &t, 1);
    for (int i = 0; i < s->n; i++) s->x[i] *= (float) (.55 + .45 * sin(6.28318531 * shake * i / hz_rate));
    room(s, .8, .12);
    say(s, goat ? "a goat bleating" : "a sheep bleating");
    say(s, "%s", goat ? "goat" : ONE_OF(s, "a sheep", "a lamb", "baa of a sheep"));
    say(s, "a farm animal");
}

void cow(sound *s) {
    begin(s, 1.3, 2.6);
    double p = uni(s, 95, 160), lasts = length_of(s) - .15;
    throat t = {{p * .8, p * 1.2, p * .75}, {380, 850, 2200}, .07, .18, .25, .4, .25};
    voice(s, .02, lasts, &t, 1);
    low_pass(s->x, s->n, 2200);
    room(s, .9, .15);
    say(s, "%s", ONE_OF(s, "a cow mooing", "a cow", "a long moo of a cow"));
    say(s, "a farm animal, cow");
}

void monster(sound *s) {
    int kind = below(s, 3); /* growl, roar, screech */
    begin(s, .8, 2.6);
    double p = kind == 2   ? uni(s, 300, 700)
               : kind == 1 ? uni(s, 70, 130)
                           : uni(s, 28, 60),
           lasts = length_of(s) - .2, size = kind == 2 ? 1.6 : uni(s, .7, 1.1);
    for (int layer = 0; layer < 2 + (kind == 1); layer++) {
        double q = p * (1 + .51 * layer) * uni(s, .97, 1.03);
        throat t = {{q * .8, q * 1.25, q * .6},
                    {480 * size * uni(s, .8, 1.2), 1100 * size, 2500 * size},
                    .6,
                    .55,
                    kind == 1 ? .15 : .08,
                    lasts * .4,
                    .4};
        voice(s, .02 + .02 * layer, lasts, &t, 1 / (1.0 + layer));
    }
    burst(s, .02, lasts, 200 * size, 3000 * size, lasts, lasts * .3, kind == 0 ? .06 : .15);
    saturate(s, 1.6);
    room(s, 1.2, .2);
    static const char *const words[][3] = {{"a monster growling", "a deep growl", "a beast growling"},
                                           {"a monster roaring", "a loud roar", "a giant beast roaring"},
                                           {"a creature screeching", "a monster shriek", "an alien screech"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "a monster");
}

void monkey(sound *s) {
    begin(s, 1, 2.5);
    double p = uni(s, 350, 600), length = length_of(s), gap = uni(s, .16, .3), rise = uni(s, 1, 1.5);
    int hoots = chance(s, .5);
    for (double t = .02; t < length - .2; t += gap * uni(s, .8, 1.2)) {
        double q = p * (1 + (rise - 1) * t / length) * uni(s, .95, 1.05);
        throat hoot = {{q * .9, q * 1.15, q * .85}, {q * 1.1, 1500, 2800}, .08, .35, .03, .05, .2};
        throat shriek = {{q * 1.8, q * 2.3, q * 1.6}, {1500, 2500, 3600}, .2, .3, .01, .04, .2};
        voice(s, t, gap * .7, hoots ? &hoot : &shriek, .5 + .5 * t / length);
    }
    room(s, 1, .2);
    say(s, hoots ? "a monkey hooting" : "monkeys screeching");
    say(s, "%s", ONE_OF(s, "monkey calls", "a monkey in the jungle", "an ape calling"));
}
