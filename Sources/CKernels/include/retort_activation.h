#ifndef RETORT_ACTIVATION_H
#define RETORT_ACTIVATION_H

#include <stddef.h>

#include "retort_cpu.h"

// `level` is the instruction set; asking for one this CPU lacks means scalar.

// out[i] = x/2 (1 + erf(x/√2)), Gaussian error linear unit, with an absolute error below 1e-6. The
// vector levels use a polynomial (gelu_terms.h). `out` may be `x`.
void retort_gelu_erf(retort_level level, float *out, const float *x, size_t count);

// out[i] = x/2 (1 + tanh(√(2/π)(x + 0.044715 x³))), the form of GPT-2 and ALBERT. Same accuracy.
void retort_gelu_tanh(retort_level level, float *out, const float *x, size_t count);

// row[i] = exp(scale·(row[i] − max)) / Σ, scale > 0. Relative error below 1e-6 for entries above
// 1e-37; smaller ones come out as at most 1e-37.
void retort_softmax(retort_level level, float *row, size_t count, float scale);

// out = (s − mean(s)) / √(var(s) + epsilon) · weight + bias with s = x + residual, population
// variance, two passes. `residual` may be null; `out` may be `x` or `residual`.
void retort_layer_norm(retort_level level, float *out, const float *x, const float *residual,
                       const float *weight, const float *bias, size_t count, float epsilon);

#endif
