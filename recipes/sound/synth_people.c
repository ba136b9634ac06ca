/* Sounds that people make without speaking: steps, hands, hearts, teeth. */
#include "synth_rooms.h"

#include <math.h>

static const mode board[] = {{1, 1, 1}, {2.3, .6, .6}, {3.9, .4, .4}, {6.1, .25, .25}};

static void step(sound *s, int ground, double t, double weight) {
    switch (ground) {
    case 0: /* wood */
        strike(s, t, board, 4, uni(s, 85, 150), .035, weight * .8);
        burst(s, t, .05, 300, 4000, .006, 0, weight * .35);
        burst(s, t + uni(s, .07, .11), .05, 300, 3500, .008, 0, weight * .2);
        break;
    case 1: /* gravel */
        for (int g = 18 + below(s, 22); g--;)
            burst(s, t + fabs(gauss(s)) * .07, .02, logu(s, 700, 2500), logu(s, 4000, 11000), uni(s, .002, .008), 0,
                  weight * uni(s, .1, .7));
        burst(s, t, .15, 80, 500, .03, .004, weight * .3);
        break;
    case 2: /* snow */
        for (int g = 25 + below(s, 20); g--;)
            burst(s, t + uni(s, 0, .22), .03, 900, 6500, .012, .008, weight * uni(s, .05, .35));
        burst(s, t, .25, 100, 700, .06, .03, weight * .3);
        break;
    case 3: /* grass */
        burst(s, t, .28, 900, 7000, .08, .05, weight * .45);
        burst(s, t + .02, .1, 70, 400, .03, .01, weight * .4);
        break;
    case 4: /* stone */
        burst(s, t, .03, 900, 9000, .004, 0, weight * .8);
        ring(s, t, uni(s, 160, 260), .018, weight * .5);
        burst(s, t + uni(s, .05, .09), .03, 1200, 7000, .006, 0, weight * .25);
        break;
    default: /* metal */
        for (int m = 0; m < 6; m++) ring(s, t, logu(s, 180, 3200), uni(s, .04, .22), weight * uni(s, .1, .4));
        burst(s, t, .03, 300, 6000, .005, 0, weight * .5);
    }
}

void footsteps(sound *s) {
    static const char *const grounds[] = {"wood", "gravel", "snow", "grass", "stone", "metal"};
    int ground = below(s, 6), pace = below(s, 3), one = chance(s, .1);
    begin(s, one ? .5 : 2.5, one ? .7 : 5.5);
    double gap = pace == 0 ? uni(s, .6, .8) : pace == 1 ? uni(s, .42, .58) : uni(s, .26, .34), length = length_of(s);
    for (double t = .04; t < length - .3; t += one ? 99 : gap * uni(s, .93, 1.07))
        step(s, ground, t, uni(s, .6, 1) * (pace == 2 ? 1.2 : 1));
    if (ground == 0 || ground == 4 || ground == 5) room(s, uni(s, .3, 1.4), .15);
    const char *walk = one         ? "a single footstep"
                       : pace == 0 ? "slow footsteps"
                       : pace == 1 ? "footsteps"
                                   : "running footsteps";
    say(s, "%s on %s", walk, ground == 0 ? "a wooden floor" : grounds[ground]);
    if (!one)
        say(s, "someone %s on %s", pace == 2 ? "running" : pace == 0 ? "walking slowly" : "walking", grounds[ground]);
    say(s, "%s on %s", one ? "a step" : pace == 2 ? "running" : "walking", grounds[ground]);
}

static void clap(sound *s, double t, double loud) {
    burst(s, t, .06, uni(s, 500, 1400), uni(s, 2500, 6500), uni(s, .004, .011), 0, loud);
}

void applause(sound *s) {
    begin(s, 3.5, 7);
    int few = chance(s, .3), cheer = chance(s, .4);
    double rate = few ? uni(s, 14, 40) : uni(s, 120, 420), length = length_of(s), swell = uni(s, .3, 1.2);
    for (double t = .01; t < length; t += -log(1 - uni(s, 0, .999)) / rate)
        clap(s, t, uni(s, .1, 1) * fmin(1, t / swell));
    if (cheer) {
        float *roar = noise(s, s->n, 400, 2200, -.2), *level = curve(s, s->n, 3, .4, 1);
        resonate(roar, s->n, 900, 3, 1.5);
        mix(s, roar, level, few ? .2 : .6);
        for (int v = 4 + below(s, 6); v--;) {
            double p = uni(s, 260, 600);
            throat yell = {{p, p * 1.25, p * 1.1}, {uni(s, 700, 1000), 1500, 2800}, .06, .3, .1, .3, .1};
            voice(s, uni(s, 0, length * .7), uni(s, .5, 1.4), &yell, .5);
        }
    }
    room(s, few ? .8 : 1.8, .3);
    fade(s, .05, .6);
    say(s, "%s%s", few ? "a few people clapping" : "a large audience applauding", cheer ? " and cheering" : "");
    say(s, "%s",
        cheer ? ONE_OF(s, "applause and cheering", "a crowd clapping and cheering")
        : few ? "light applause"
              : ONE_OF(s, "loud applause", "applause of a crowd"));
    say(s, "applause");
}

void crowd(sound *s) {
    begin(s, 5, 9);
    int talkers = 4 + below(s, 14), cheering = chance(s, .25);
    double length = length_of(s);
    for (int v = 0; v < talkers; v++) {
        double base = chance(s, .5) ? uni(s, 95, 150) : uni(s, 170, 260), loud = pow(uni(s, .25, 1), 3);
        for (double t = uni(s, -1, 1); t < length - .3;) {
            double lasts = uni(s, .09, cheering ? .8 : .26), p = base * uni(s, .85, 1.3) * (cheering ? 1.7 : 1);
            throat vowel = {{p, p * 1.05, p * .93},
                            {uni(s, 300, 850), uni(s, 900, 2200), uni(s, 2300, 2900)},
                            .05,
                            .12,
                            .03,
                            .05,
                            .1};
            if (t > 0) voice(s, t, lasts, &vowel, loud);
            if (t > 0 && chance(s, .4)) burst(s, t + lasts, .07, 2500, 9000, .03, .01, loud * .15);
            t += lasts + (chance(s, .12) ? uni(s, .3, 1.5) : uni(s, .0, .1));
        }
    }
    mix(s, noise(s, s->n, 150, 2000, -.4), NULL, .06);
    low_pass(s->x, s->n, 8000);
    room(s, 1.2, .3);
    fade(s, .1, .4);
    if (cheering) say(s, "a crowd cheering"), say(s, "people shouting and cheering"), say(s, "a stadium crowd");
    else {
        say(s, "%s", ONE_OF(s, "people talking in a restaurant", "a crowd murmuring", "many people talking at once"));
        say(s, "crowd chatter");
        say(s, "a busy room full of people");
    }
}

void heartbeat(sound *s) {
    begin(s, 3, 6);
    double bpm = logu(s, 48, 140), gap = 60 / bpm, length = length_of(s), hz = uni(s, 38, 62);
    for (double t = .05; t < length - .4; t += gap * uni(s, .98, 1.02)) {
        for (int part = 0; part < 2; part++) {
            double at = t + part * (.18 + .12 * gap), loud = part ? .65 : 1;
            chirp(s, at, .13, hz * 1.5, hz * .8, 1, loud);
            burst(s, at, .1, 30, 180, .025, .006, loud * .5);
        }
    }
    low_pass(s->x, s->n, 300);
    say(s, "a %sheartbeat", bpm < 65 ? "slow " : bpm > 105 ? "fast " : "");
    say(s, "%s", bpm > 105 ? "a racing heart" : bpm < 65 ? "a calm slow heart beating" : "a heart beating");
    say(s, "heartbeat");
}

void chewing(sound *s) {
    int drink = chance(s, .3);
    begin(s, 1, 3.5);
    double length = length_of(s), gap = uni(s, .3, .55);
    int crisp = chance(s, .6);
    for (double t = .03; t < length - .2; t += gap * uni(s, .8, 1.2)) {
        if (drink) {
            chirp(s, t, .09, uni(s, 180, 300), uni(s, 420, 700), .7, .8);
            burst(s, t, .1, 200, 1500, .03, .01, .3);
        } else
            for (int g = crisp ? 12 + below(s, 14) : 5; g--;)
                burst(s, t + fabs(gauss(s)) * .06, .03, crisp ? 900 : 250, crisp ? 8000 : 2500, uni(s, .002, .009), 0,
                      uni(s, .15, .9));
    }
    low_pass(s->x, s->n, 6500);
    say(s, "%s",
        drink   ? ONE_OF(s, "someone drinking", "gulping a drink", "swallowing")
        : crisp ? ONE_OF(s, "crunching an apple", "chewing crunchy crisps", "eating crunchy food")
                : ONE_OF(s, "chewing", "eating soft food", "munching"));
    say(s, drink ? "drinking" : "eating");
}

void breath(sound *s) {
    begin(s, 2.5, 5);
    int hard = chance(s, .5);
    double half = hard ? uni(s, .35, .6) : uni(s, .9, 1.5), length = length_of(s);
    int in = 1;
    for (double t = .05; t + half < length; t += half * uni(s, 1.0, 1.25), in = !in) {
        int n = at_sample(half), first = at_sample(t);
        float *air = noise(s, n, in ? 700 : 350, in ? 6000 : 3500, -.4);
        resonate(air, n, in ? 1700 : 900, 4, 1.5);
        for (int i = 0; i < n && first + i < s->n; i++) {
            double u = (double) i / n;
            s->x[first + i] += (float) (pow(sin(3.14159265 * u), 1.3) * (in ? .7 : 1)) * air[i];
        }
    }
    say(s, hard ? "someone panting" : "someone breathing slowly");
    say(s, hard ? "heavy breathing out of breath" : "calm breathing");
    say(s, "breathing");
}
