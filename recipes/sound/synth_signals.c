/* Bells, alarms and other signals. */
#include "synth_rooms.h"

#include <math.h>

static const double turn = 6.283185307179586;
/* A church bell's partials by their names: hum, prime, tierce, quint, nominal, and above. */
static const mode church[] = {{.5, .4, 1.2},  {1, 1, 1},      {1.19, .6, .8}, {1.5, .4, .7},  {2, .8, .6},
                              {2.51, .4, .4}, {3.01, .3, .3}, {4.1, .25, .2}, {5.4, .15, .15}};
static const mode tube[] = {{1, 1, 1}, {2.76, .7, .7}, {5.4, .4, .4}, {8.93, .2, .2}};

void bell(sound *s) {
    int kind = below(s, 4); /* hand bell, bicycle, desk bell, cow bell */
    begin(s, .8, 3);
    double hz = kind == 3 ? uni(s, 500, 900) : uni(s, 900, 2600), tau = kind == 3 ? uni(s, .08, .2) : uni(s, .2, .9);
    int times = kind == 2 ? 1 : 1 + below(s, kind == 1 ? 8 : 4);
    double gap = kind == 1 ? uni(s, .06, .1) : uni(s, .2, .5);
    for (int k = 0; k < times && .02 + k * gap < length_of(s) - .2; k++) {
        strike(s, .02 + k * gap * uni(s, .95, 1.05), church, 9, hz, tau, .5);
        burst(s, .02 + k * gap, .01, 2000, 12000, .001, 0, .25);
    }
    room(s, .8, .1);
    static const char *const words[][3] = {{"a hand bell ringing", "a small bell", "a little bell"},
                                           {"a bicycle bell", "a bike bell ringing", "a bicycle bell rung"},
                                           {"a desk bell", "a reception bell", "a single ding of a bell"},
                                           {"a cow bell", "a goat bell on a meadow", "a dull bell"}};
    say(s, "%s%s", words[kind][0], times > 2 ? ", several times" : "");
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "a bell");
}

void church_bell(sound *s) {
    begin(s, 3, 7);
    int distant = chance(s, .35);
    double hz = logu(s, 170, 560), tau = uni(s, .8, 2.2), gap = uni(s, 1, 2.2);
    int times = chance(s, .5) ? 1 : 9;
    for (int k = 0; k < times && .03 + k * gap < length_of(s) - .6; k++) {
        strike(s, .03 + k * gap, church, 9, hz, tau, .6);
        burst(s, .03 + k * gap, .03, 600, 6000, .004, 0, .2);
    }
    if (distant) low_pass(s->x, s->n, 1500);
    room(s, 2.5, distant ? .6 : .2);
    fade(s, 0, .5);
    say(s, "%s%s church bell%s", distant ? "a distant " : "a ", hz < 270 ? "low" : "high",
        times == 1 ? ", one stroke" : " ringing");
    say(s, "%s",
        times == 1 ? ONE_OF(s, "a church bell struck once", "a large bell")
                   : ONE_OF(s, "church bells ringing", "bells of a church tower"));
    say(s, "church bell");
}

void chimes(sound *s) {
    begin(s, 3.5, 7);
    int glass = chance(s, .3);
    double base = glass ? uni(s, 2000, 3200) : uni(s, 700, 1500), rate = uni(s, 1.5, 6);
    static const double scale[] = {1, 1.122, 1.26, 1.498, 1.682, 2};
    float *gusts = curve(s, s->n, .8, 0, 1);
    for (double t = .03; t < length_of(s) - .6; t += -log(1 - uni(s, 0, .999)) / rate)
        if (uni(s, 0, 1) < gusts[at_sample(t)] + .25)
            strike(s, t, tube, glass ? 3 : 4, base * scale[below(s, 6)], glass ? uni(s, .1, .3) : uni(s, .5, 1.3),
                   uni(s, .2, .8));
    room(s, 1.5, .2);
    fade(s, 0, .4);
    say(s, "%s",
        glass ? ONE_OF(s, "glass wind chimes", "small glass chimes tinkling")
              : ONE_OF(s, "wind chimes", "metal wind chimes in the breeze", "chimes ringing softly"));
    say(s, "chimes");
}

/* A tone of a shape: 0 sine, 1 square, 2 saw, 3 triangle. */
static double shaped(double phase, int shape) {
    double p = phase - floor(phase);
    return shape == 0   ? sin(turn * p)
           : shape == 1 ? (p < .5 ? .7 : -.7)
           : shape == 2 ? 1.6 * p - .8
                        : 4 * fabs(p - .5) - 1;
}

static void tone(sound *s, double at, double seconds, double hz, int shape, double loud) {
    int n = at_sample(seconds), first = at_sample(at), edge = n / 4 < 150 ? n / 4 : 150;
    for (int i = 0; i < n && first + i < s->n; i++) {
        double level = fmin(1, fmin(i, n - i) / (edge + 1.0));
        s->x[first + i] += (float) (loud * level * shaped(hz * i / hz_rate, shape));
    }
}

void alarm(sound *s) {
    begin(s, 2, 5);
    int kind = below(s, 4), shape = below(s, 3); /* beeper, two-tone, buzzer, ringing */
    double hz = kind == 2 ? uni(s, 120, 420) : uni(s, 700, 3000), gap = logu(s, .12, .6), length = length_of(s);
    int k = 0;
    for (double t = .02; t < length - gap; t += gap, k++) {
        if (kind == 0) tone(s, t, gap * .5, hz, shape, .8);
        if (kind == 1) tone(s, t, gap, k & 1 ? hz : hz * .79, shape, .8);
        if (kind == 2) tone(s, t, gap * .8, hz, 1 + below(s, 2), .8);
        if (kind == 3 && k % 8 < 6)
            for (double r = 0; r < gap; r += .045) ring(s, t + r, hz, .05, .5), ring(s, t + r, hz * 2.7, .03, .3);
    }
    if (chance(s, .4)) room(s, 1, .2);
    static const char *const words[][3] = {{"an alarm beeping", "a beeping alarm clock", "a smoke alarm"},
                                           {"a two-tone alarm", "a warning alarm", "an alternating alarm"},
                                           {"an alarm buzzer", "a loud buzzer", "a buzzing alarm"},
                                           {"an alarm bell ringing", "a fire alarm bell", "a school bell"}};
    say(s, "%s%s", gap < .22 ? "a fast alarm, " : "", words[kind][0]);
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "alarm");
}

void siren(sound *s) {
    begin(s, 4, 8);
    int kind = below(s, 4), distant = chance(s, .35); /* wail, yelp, two-tone, air raid */
    double low = kind == 3 ? uni(s, 200, 300) : uni(s, 450, 700),
           high = kind == 3   ? uni(s, 430, 600)
                  : kind == 2 ? low * 1.33
                              : uni(s, 1200, 1700),
           rate = kind == 0   ? uni(s, .2, .4)
                  : kind == 1 ? uni(s, 2, 4)
                  : kind == 2 ? uni(s, .7, 1.2)
                              : .16,
           phase = 0;
    for (int i = 0; i < s->n; i++) {
        double u = fmod(rate * i / hz_rate, 1),
               hz = kind == 2 ? (u < .5 ? low : high) : low + (high - low) * (.5 - .5 * cos(turn * u));
        phase += hz / hz_rate;
        s->x[i] += (float) (.6 * shaped(phase, 3) + .3 * shaped(phase, kind == 3 ? 2 : 1));
    }
    low_pass(s->x, s->n, distant ? 1100 : 5000);
    room(s, 1.8, distant ? .7 : .2);
    fade(s, .05, .3);
    static const char *const words[][3] = {{"a police siren", "a wailing siren", "an emergency siren"},
                                           {"a fast yelping siren", "a police car siren", "a yelp siren"},
                                           {"a two-tone ambulance siren", "a fire engine siren", "an ambulance siren"},
                                           {"an air raid siren", "a civil defence siren", "a slowly rising siren"}};
    say(s, "%s%s", distant ? "in the distance, " : "", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "siren");
}

void telephone(sound *s) {
    int kind = below(s, 4); /* old ringing, electronic, dial tone and keys, busy */
    begin(s, 2.5, 5);
    double length = length_of(s);
    static const double rows[] = {697, 770, 852, 941}, columns[] = {1209, 1336, 1477};
    if (kind == 0)
        for (double t = .02; t < length - .3; t += 3)
            for (double r = 0; r < 1.6 && t + r < length - .3; r += .04)
                strike(s, t + r, church + 1, 6, (int) (r / .04) & 1 ? 1300 : 1550, .06, .3);
    if (kind == 1) {
        double a = uni(s, 600, 1200), b = a * uni(s, 1.15, 1.4);
        for (double t = .02; t < length - .4; t += 1.6)
            for (int k = 0; k < 14; k++) tone(s, t + k * .05, .05, k & 1 ? a : b, 1, .5);
    }
    if (kind == 2)
        for (double t = .05; t < length - .2; t += uni(s, .18, .35)) {
            double lasts = uni(s, .08, .15);
            tone(s, t, lasts, rows[below(s, 4)], 0, .5);
            tone(s, t, lasts, columns[below(s, 3)], 0, .5);
        }
    if (kind == 3)
        for (double t = .05; t < length - .5; t += 1) tone(s, t, .5, 425, 0, .8);
    static const char *const words[][3] = {
        {"an old telephone ringing", "a telephone ringing", "an old phone bell"},
        {"an electronic phone ringing", "a phone ringtone", "a modern telephone"},
        {"dialling a phone number", "touch tones of a telephone", "phone keys being pressed"},
        {"a busy signal", "a telephone busy tone", "a phone line engaged"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "telephone");
}

void beep(sound *s) {
    int times = chance(s, .5) ? 1 : 2 + below(s, 3), shape = below(s, 4);
    double hz = logu(s, 300, 3500), each = logu(s, .04, .4), step = chance(s, .3) ? uni(s, .7, 1.5) : 1;
    begin(s, times * each * 1.5 + .08, times * each * 1.5 + .15);
    for (int k = 0; k < times; k++) tone(s, .02 + k * each * 1.5, each, hz * pow(step, k), shape, .9);
    static const char *const counts[] = {"", "a single beep", "two beeps", "three beeps", "four beeps"};
    const char *height = hz < 600 ? "low" : hz > 1800 ? "high" : "medium";
    say(s, "%s", counts[times]);
    say(s, "a %s %s beep", each < .1 ? "short" : "long", height);
    say(s, "%s pitched electronic beep%s", height, times > 1 ? "s" : "");
    say(s, "beep");
}

void click(sound *s) {
    int kind = below(s, 4); /* mouse, switch, interface, button */
    begin(s, .12, .4);
    double t = .01, hz = kind == 2 ? uni(s, 900, 3500) : uni(s, 1200, 4500);
    if (kind == 2) ring(s, t, hz, uni(s, .004, .015), 1);
    else {
        burst(s, t, .01, 1200, 12000, uni(s, .0006, .002), 0, 1);
        ring(s, t, hz, uni(s, .002, .006), .6);
        if (kind == 1) ring(s, t, uni(s, 250, 500), .012, .6);
        double back = uni(s, .05, .12);
        burst(s, t + back, .01, 1200, 10000, .001, 0, .6);
        ring(s, t + back, hz * .85, .003, .4);
    }
    static const char *const words[][3] = {{"a mouse click", "a computer mouse clicking", "a quick click"},
                                           {"a light switch", "a switch being flipped", "a toggle switch"},
                                           {"an interface click", "a user interface tick", "a soft menu click"},
                                           {"a button press", "pressing a button", "a plastic button clicking"}};
    say(s, "%s", words[kind][below(s, 3)]);
    say(s, "%s", words[kind][0]);
    say(s, "click");
}

void notification(sound *s) {
    static const double steps[] = {1, 1.122, 1.26, 1.335, 1.498, 1.682, 2};
    int notes = 2 + below(s, 3), shape = chance(s, .5) ? -1 : 0, good = chance(s, .7);
    begin(s, .8, 1.8);
    double hz = uni(s, 500, 1100), gap = uni(s, .07, .18), tau = uni(s, .1, .4);
    for (int k = 0, at = below(s, 3); k < notes; k++, at += good ? 1 + below(s, 2) : -1) {
        double f = hz * steps[(at + 7) % 7] * (at < 0 ? .5 : 1);
        ring(s, .02 + k * gap, f, tau, .7);
        ring(s, .02 + k * gap, f * (shape ? 4 : 2), tau * .4, .25);
    }
    room(s, .9, .15);
    say(s, "%s",
        good ? ONE_OF(s, "a notification sound", "a message alert", "a pleasant notification chime")
             : ONE_OF(s, "an error notification", "a descending alert", "a negative notification"));
    say(s, "a %s notification", good ? "rising" : "falling");
    say(s, "notification");
}

void morse(sound *s) {
    begin(s, 2, 4);
    double dot = uni(s, .045, .09), hz = uni(s, 500, 1000);
    for (double t = .02; t < length_of(s) - 4 * dot;) {
        double lasts = chance(s, .5) ? dot : 3 * dot;
        tone(s, t, lasts, hz, 0, .9);
        t += lasts + dot * (chance(s, .3) ? 3 : 1);
    }
    if (chance(s, .4)) mix(s, noise(s, s->n, 300, 3000, 0), NULL, .05);
    say(s, "morse code");
    say(s, "a %s morse signal", dot < .065 ? "fast" : "slow");
    say(s, "telegraph beeps");
}
