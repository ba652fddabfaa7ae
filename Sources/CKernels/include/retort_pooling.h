#ifndef RETORT_POOLING_H
#define RETORT_POOLING_H

#include <stddef.h>

#include "retort_cpu.h"

// Kernel pooling: how many of a row's cosines are near each of some means. Xiong et al. 2017
// (arXiv:1706.06613); `sharpness` is 1/(2σ²) of every kernel. `level` is the instruction set; asking
// for one this CPU lacks means scalar. Terms below e^-87 count as e^-87.

// counts[k] = Σ_j exp(−sharpness[k] (x[j] − means[k])²) over j < count.
void retort_kernel_counts(retort_level level, float *counts, const float *x, size_t count,
                          const float *means, const float *sharpness, size_t kernels);

// x[j] becomes Σ_k weights[k] · d/dx[j] exp(−sharpness[k] (x[j] − means[k])²).
void retort_kernel_slopes(retort_level level, float *x, size_t count, const float *means,
                          const float *sharpness, const float *weights, size_t kernels);

// out[c][r] = x[r][c].
void retort_transpose(float *out, const float *x, size_t rows, size_t columns);

#endif
