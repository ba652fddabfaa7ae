#include "retort_pooling.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "dispatch.h"
#include "gelu_terms.h"

// MARK: Scalar reference, straight from the definitions

static double bell(double x, double mean, double sharpness) {
  double power = -sharpness * (x - mean) * (x - mean);
  return exp(power < -87 ? -87 : power);
}

static void scalar_kernel_counts(float *counts, const float *x, size_t count, const float *means,
                                 const float *sharpness, size_t kernels) {
  for (size_t k = 0; k < kernels; k++) {
    double total = 0;
    for (size_t j = 0; j < count; j++) total += bell(x[j], means[k], sharpness[k]);
    counts[k] = (float)total;
  }
}

static void scalar_kernel_slopes(float *x, size_t count, const float *means,
                                 const float *sharpness, const float *weights, size_t kernels) {
  for (size_t j = 0; j < count; j++) {
    double slope = 0, at = x[j];
    for (size_t k = 0; k < kernels; k++)
      slope -= 2.0 * weights[k] * sharpness[k] * (at - means[k]) * bell(at, means[k], sharpness[k]);
    x[j] = (float)slope;
  }
}

// MARK: Vector levels

#if defined(__x86_64__)
#define LANES 8
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(x) avx2_##x
#include "pooling_lanes.h"

#define LANES 16
#define TARGET __attribute__((target("avx512f")))
#define NAME(x) avx512_##x
#include "pooling_lanes.h"
#elif defined(__aarch64__)
#define LANES 4
#define TARGET
#define NAME(x) neon_##x
#include "pooling_lanes.h"
#endif

// MARK: Dispatch

void retort_transpose(float *out, const float *x, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) out[c * rows + r] = x[r * columns + c];
}

void retort_kernel_counts(retort_level level, float *counts, const float *x, size_t count,
                          const float *means, const float *sharpness, size_t kernels) {
  DISPATCH(kernel_counts, counts, x, count, means, sharpness, kernels)
}

void retort_kernel_slopes(retort_level level, float *x, size_t count, const float *means,
                          const float *sharpness, const float *weights, size_t kernels) {
  DISPATCH(kernel_slopes, x, count, means, sharpness, weights, kernels)
}
