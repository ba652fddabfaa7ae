// What every instruction set shares: the choice of a row's codes.
#ifndef MATRIX_SCALAR_H
#define MATRIX_SCALAR_H

#include <float.h>
#include <math.h>

// The scale of codes 0...255 for values of low ≤ 0 ≤ high, its inverse and the code of zero.
static inline float retort_quantizer(float low, float high, float *inverse, float *zero) {
  float scale = (high - low) / 255.0f;
  if (!(scale >= FLT_MIN)) scale = FLT_MIN;
  *inverse = 1.0f / scale;
  *zero = rintf(-low * *inverse);
  if (!(*zero >= 0.0f && *zero <= 255.0f)) *zero = 0;
  return scale;
}

#endif
