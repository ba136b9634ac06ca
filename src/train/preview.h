/* Sounds of the model as it is, and a picture of them, for the ear and the eye beside the loss. */
#ifndef HISS_TRAIN_PREVIEW_H
#define HISS_TRAIN_PREVIEW_H

#include "train/recipe.h"

/* Sounds of the model folder `model` into `folder`: of each class, of mel [B, F, M] where it takes one, or free. False
 * when that failed, which is a warning: training goes on. */
bool preview_make(const recipe *r, const char *model, const char *folder, const tensor *mel);

#endif
