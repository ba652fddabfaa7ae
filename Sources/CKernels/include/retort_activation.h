#ifndef RETORT_ACTIVATION_H
#define RETORT_ACTIVATION_H

#include <stddef.h>

// Instruction sets the row kernels below exist for. Asking for one this CPU lacks means scalar.
enum {
  RETORT_LANES_SCALAR = 0,
  RETORT_LANES_NEON = 1,
  RETORT_LANES_AVX2 = 2,   // with FMA
  RETORT_LANES_AVX512 = 3, // AVX-512F
};

// The best instruction set of this CPU.
int retort_lanes_best(void);
// Whether this CPU runs `lanes`.
int retort_lanes_available(int lanes);

// out[i] = x/2 (1 + erf(x/√2)), Gaussian error linear unit. Absolute error below 1e-6 for
// |x| ≤ 8, beyond that one unit in the last place; the vector levels use erfc from Abramowitz &
// Stegun 7.1.26. `out` may be `x`.
void retort_gelu_erf(int lanes, float *out, const float *x, size_t count);

// out[i] = x/2 (1 + tanh(√(2/π)(x + 0.044715 x³))), the form of GPT-2 and ALBERT. Same accuracy.
void retort_gelu_tanh(int lanes, float *out, const float *x, size_t count);

// row[i] = exp(scale·(row[i] − max)) / Σ, scale > 0. Relative error below 1e-6 for entries above
// 1e-37; smaller ones come out as at most 1e-37.
void retort_softmax(int lanes, float *row, size_t count, float scale);

// out = (s − mean(s)) / √(var(s) + epsilon) · weight + bias with s = x + residual, population
// variance, two passes. `residual` may be null; `out` may be `x` or `residual`.
void retort_layer_norm(int lanes, float *out, const float *x, const float *residual,
                       const float *weight, const float *bias, size_t count, float epsilon);

#endif
