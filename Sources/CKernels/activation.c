#include "retort_activation.h"

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

static void scalar_gelu_erf(float *out, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = 0.5f * x[i] * erfcf(-0.70710678f * x[i]);
}

static void scalar_gelu_tanh(float *out, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    float v = x[i];
    out[i] = 0.5f * v * (1.0f + tanhf(0.797884561f * (v + 0.044715f * v * v * v)));
  }
}

static void scalar_softmax(float *row, size_t count, float scale) {
  if (count == 0) return;
  float top = row[0], total = 0;
  for (size_t i = 1; i < count; i++) top = row[i] > top ? row[i] : top;
  for (size_t i = 0; i < count; i++) {
    row[i] = expf((row[i] - top) * scale);
    total += row[i];
  }
  for (size_t i = 0; i < count; i++) row[i] /= total;
}

static void scalar_layer_norm(float *out, const float *x, const float *residual,
                              const float *weight, const float *bias, size_t count,
                              float epsilon) {
  if (count == 0) return;
  double sum = 0, squares = 0;
  for (size_t i = 0; i < count; i++) {
    out[i] = residual ? x[i] + residual[i] : x[i];
    sum += out[i];
  }
  double mean = sum / (double)count;
  for (size_t i = 0; i < count; i++) squares += (out[i] - mean) * (out[i] - mean);
  double scale = 1 / sqrt(squares / (double)count + epsilon);
  for (size_t i = 0; i < count; i++)
    out[i] = (float)((out[i] - mean) * scale * weight[i] + bias[i]);
}

// MARK: Vector levels

#if defined(__x86_64__)
#define LANES 8
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(x) avx2_##x
#include "activation_lanes.h"

#define LANES 16
#define TARGET __attribute__((target("avx512f")))
#define NAME(x) avx512_##x
#include "activation_lanes.h"
#elif defined(__aarch64__)
#define LANES 4
#define TARGET
#define NAME(x) neon_##x
#include "activation_lanes.h"
#endif

// MARK: Dispatch

void retort_gelu_erf(retort_level level, float *out, const float *x, size_t count) {
  DISPATCH(gelu_erf, out, x, count)
}

void retort_gelu_tanh(retort_level level, float *out, const float *x, size_t count) {
  DISPATCH(gelu_tanh, out, x, count)
}

void retort_softmax(retort_level level, float *row, size_t count, float scale) {
  DISPATCH(softmax, row, count, scale)
}

void retort_layer_norm(retort_level level, float *out, const float *x, const float *residual,
                       const float *weight, const float *bias, size_t count, float epsilon) {
  DISPATCH(layer_norm, out, x, residual, weight, bias, count, epsilon)
}
