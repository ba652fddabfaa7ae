#include "retort_training.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "dispatch.h"
#include "gelu_terms.h"
#include "retort_activation.h"

// Rows of probabilities are filled up to whole vectors of every instruction set.
#define PADDED(length) (((length) + 15) / 16 * 16)

// MARK: Scalar reference, straight from the definitions

static int keeps(uint32_t number, retort_dropout_mask mask) {
  uint32_t hash = number * 0x9e3779b1u + (uint32_t)mask.key;
  hash ^= hash >> 16;
  hash *= 0x7feb352du;
  hash ^= (hash >> 15) ^ (uint32_t)(mask.key >> 32);
  hash *= 0x846ca68bu;
  hash ^= hash >> 16;
  return hash >> 8 >= mask.threshold;
}

static void scalar_dropout(float *x, size_t count, uint32_t first, retort_dropout_mask mask) {
  for (size_t i = 0; i < count; i++)
    x[i] = keeps(first + (uint32_t)i, mask) ? x[i] * mask.scale : 0;
}

static void scalar_add(float *out, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] += x[i];
}

static double scalar_sum_of_squares(const float *x, size_t count) {
  double total = 0;
  for (size_t i = 0; i < count; i++) total += (double)x[i] * x[i];
  return total;
}

static void scalar_gelu_erf_slope(float *gradient, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    double v = x[i], density = exp(-v * v / 2) * 0.3989422804014327;
    gradient[i] *= (float)(0.5 * erfc(-v * 0.7071067811865476) + v * density);
  }
}

static void scalar_gelu_tanh_slope(float *gradient, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    double v = x[i], k = 0.7978845608028654;
    double t = tanh(k * (v + 0.044715 * v * v * v));
    gradient[i] *= (float)(0.5 * (1 + t) + 0.5 * v * (1 - t * t) * k * (1 + 0.134145 * v * v));
  }
}

static void scalar_adam(float *parameters, float *first, float *second, const float *gradient,
                        size_t count, retort_adam_step step) {
  for (size_t i = 0; i < count; i++) {
    float g = gradient[i] * step.scale + step.penalty * parameters[i];
    first[i] = step.beta1 * first[i] + (1 - step.beta1) * g;
    second[i] = step.beta2 * second[i] + (1 - step.beta2) * g * g;
    parameters[i] = parameters[i] * step.decay -
                    step.rate * first[i] / (sqrtf(second[i]) * step.root + step.epsilon);
  }
}

static void scalar_layer_norm_backward(float *dx, float *dweight, float *dbias, const float *dy,
                                       const float *s, const float *weight, size_t count,
                                       float epsilon) {
  if (count == 0) return;
  double mean = 0, square = 0, plain = 0, along = 0, n = (double)count;
  for (size_t i = 0; i < count; i++) mean += s[i] / n;
  for (size_t i = 0; i < count; i++) square += (s[i] - mean) * (s[i] - mean) / n;
  double scale = 1 / sqrt(square + epsilon);
  for (size_t i = 0; i < count; i++) {
    double unit = (s[i] - mean) * scale;
    plain += dy[i] * weight[i] / n;
    along += dy[i] * weight[i] * unit / n;
    dweight[i] += (float)(dy[i] * unit);
    dbias[i] += dy[i];
  }
  for (size_t i = 0; i < count; i++)
    dx[i] = (float)((dy[i] * weight[i] - plain - (s[i] - mean) * scale * along) * scale);
}

static void scalar_small_product(float *c, size_t c_stride, const float *a, size_t a_row,
                                 size_t a_depth, const float *b, size_t b_stride, size_t rows,
                                 size_t columns, size_t depth, bool adds) {
  for (size_t r = 0; r < rows; r++)
    for (size_t j = 0; j < columns; j++) {
      double sum = adds ? c[r * c_stride + j] : 0;
      for (size_t k = 0; k < depth; k++)
        sum += (double)a[r * a_row + k * a_depth] * b[k * b_stride + j];
      c[r * c_stride + j] = (float)sum;
    }
}

// p[i·length + j]: the probabilities of a head.
static void scalar_probabilities(float *p, const float *q, const float *k, size_t stride,
                                 size_t length, size_t keys, size_t size, float scale) {
  for (size_t i = 0; i < length; i++) {
    for (size_t j = 0; j < keys; j++) {
      double sum = 0;
      for (size_t c = 0; c < size; c++) sum += (double)q[i * stride + c] * k[j * stride + c];
      p[i * length + j] = (float)sum;
    }
    retort_softmax(RETORT_LEVEL_SCALAR, p + i * length, keys, scale);
    for (size_t j = keys; j < length; j++) p[i * length + j] = 0;
  }
}

static void scalar_attention_dropped(float *out, size_t out_stride, const float *qkv, size_t stride,
                                     size_t length, size_t keys, size_t heads, size_t head,
                                     size_t size, float scale, retort_dropout_mask mask,
                                     float *scratch) {
  const float *q = qkv + head * size, *k = q + heads * size, *v = k + heads * size;
  scalar_probabilities(scratch, q, k, stride, length, keys, size, scale);
  scalar_dropout(scratch, length * length, 0, mask);
  scalar_small_product(out + head * size, out_stride, scratch, length, 1, v, stride, length, size,
                       length, false);
}

static void scalar_attention_backward(float *dqkv, const float *dout, size_t out_stride,
                                      const float *qkv, size_t stride, size_t length, size_t keys,
                                      size_t heads, size_t head, size_t size, float scale,
                                      retort_dropout_mask mask, float *scratch) {
  const float *q = qkv + head * size, *k = q + heads * size, *v = k + heads * size;
  const float *dhead = dout + head * size;
  float *dq = dqkv + head * size, *dk = dq + heads * size, *dv = dk + heads * size;
  float *p = scratch, *dp = scratch + length * length;
  scalar_probabilities(p, q, k, stride, length, keys, size, scale);
  memcpy(dp, p, length * length * sizeof(float));
  scalar_dropout(dp, length * length, 0, mask);
  scalar_small_product(dv, stride, dp, 1, length, dhead, out_stride, length, size, length, false);
  for (size_t i = 0; i < length; i++) {
    float *row = dp + i * length;
    for (size_t j = 0; j < length; j++) {
      double sum = 0;
      for (size_t c = 0; c < size; c++) sum += (double)dhead[i * out_stride + c] * v[j * stride + c];
      row[j] = (float)sum;
    }
    scalar_dropout(row, length, (uint32_t)(i * length), mask);
    double total = 0;
    for (size_t j = 0; j < length; j++) total += (double)row[j] * p[i * length + j];
    for (size_t j = 0; j < length; j++)
      row[j] = (float)((row[j] - total) * p[i * length + j] * scale);
  }
  scalar_small_product(dq, stride, dp, length, 1, k, stride, length, size, length, false);
  scalar_small_product(dk, stride, dp, 1, length, q, stride, length, size, length, false);
}

// MARK: Vector levels

#if defined(__x86_64__)
#define LANES 8
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(x) avx2_##x
#include "training_lanes.h"

#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512dq")))
#define NAME(x) avx512_##x
#include "training_lanes.h"
#elif defined(__aarch64__)
#define LANES 4
#define TARGET
#define NAME(x) neon_##x
#include "training_lanes.h"
#endif

// MARK: Dispatch

void retort_dropout(retort_level level, float *x, size_t count, uint32_t first,
                    retort_dropout_mask mask) {
  if (mask.threshold == 0) return;
  DISPATCH(dropout, x, count, first, mask)
}

void retort_add(retort_level level, float *out, const float *x, size_t count) {
  DISPATCH(add, out, x, count)
}

double retort_sum_of_squares(retort_level level, const float *x, size_t count) {
  DISPATCH(sum_of_squares, x, count)
}

void retort_gelu_erf_slope(retort_level level, float *gradient, const float *x, size_t count) {
  DISPATCH(gelu_erf_slope, gradient, x, count)
}

void retort_gelu_tanh_slope(retort_level level, float *gradient, const float *x, size_t count) {
  DISPATCH(gelu_tanh_slope, gradient, x, count)
}

void retort_layer_norm_backward(retort_level level, float *dx, float *dweight, float *dbias,
                                const float *dy, const float *s, const float *weight, size_t count,
                                float epsilon) {
  DISPATCH(layer_norm_backward, dx, dweight, dbias, dy, s, weight, count, epsilon)
}

void retort_small_product(retort_level level, float *c, size_t c_stride, const float *a,
                          size_t a_row, size_t a_depth, const float *b, size_t b_stride,
                          size_t rows, size_t columns, size_t depth, bool adds) {
  DISPATCH(small_product, c, c_stride, a, a_row, a_depth, b, b_stride, rows, columns, depth, adds)
}

void retort_attention_dropped(retort_level level, float *out, size_t out_stride, const float *qkv,
                              size_t stride, size_t length, size_t keys, size_t heads,
                              size_t head, size_t size, float scale, retort_dropout_mask mask,
                              float *scratch) {
  if (length == 0 || keys == 0) return;
  DISPATCH(attention_dropped, out, out_stride, qkv, stride, length, keys, heads, head, size, scale,
           mask, scratch)
}

void retort_attention_backward(retort_level level, float *dqkv, const float *dout,
                               size_t out_stride, const float *qkv, size_t stride, size_t length,
                               size_t keys, size_t heads, size_t head, size_t size, float scale,
                               retort_dropout_mask mask, float *scratch) {
  if (length == 0 || keys == 0) return;
  DISPATCH(attention_backward, dqkv, dout, out_stride, qkv, stride, length, keys, heads, head, size,
           scale, mask, scratch)
}

size_t retort_attention_training_scratch(size_t length, size_t size) {
  size_t padded = PADDED(length);
  return padded * (2 * length + size);
}

void retort_adam(retort_level level, float *parameters, float *first, float *second,
                 const float *gradient, size_t count, retort_adam_step step) {
  DISPATCH(adam, parameters, first, second, gradient, count, step)
}
