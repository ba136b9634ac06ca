/* All generators, by the file they are in. */
#ifndef RECIPES_SOUND_SYNTH_ROOMS_H
#define RECIPES_SOUND_SYNTH_ROOMS_H

#include "synth.h"

typedef void make(sound *s);

/* synth_nature.c */
make rain, thunder, wind, fire, waves, stream, drip, splash, bubbles;
/* synth_animals.c */
make birds, crickets, cicada, fly, frog, owl, cat, dog, crow, rooster, sheep, cow, monster, monkey;
/* synth_people.c */
make footsteps, applause, crowd, heartbeat, chewing, breath;
/* synth_machines.c */
make engine, pass_by, helicopter, plane, train, rocket, machine, drill, saw, electricity, spark, hum, clock, typing,
    printer, skid, horn, static_noise, vinyl;
/* synth_impacts.c */
make impact, metal, wood, stone, glass, knock, creak, door, explosion, gunshot, fireworks, arrow;
/* synth_signals.c */
make bell, church_bell, chimes, alarm, siren, telephone, beep, click, notification, morse;
/* synth_games.c */
make laser, coin, jump, power_up, game_over, magic, whoosh, riser, boing, slide_whistle, pop, robot, drone, ambience,
    sub_drop;
/* synth_drums.c */
make kick, snare, hand_clap, hat, cymbal, tom, tabla, shaker;
/* synth_scenes.c */
make scene;

#endif
