/* The names an option may have, from the tables of those who know them. */
#ifndef HISS_CLI_CHOICES_H
#define HISS_CLI_CHOICES_H

const char *const *choices_sampler(void);
const char *const *choices_schedule(void);
const char *const *choices_precision(void);
const char *const *choices_seed_like(void);
const char *const *choices_front(void);
const char *const *choices_type(void);
const char *const *choices_bits(void);
const char *const *choices_quality(void);
const char *const *choices_shell(void);

#endif
