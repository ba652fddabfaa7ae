// The kernels of retort_training.h over vectors of LANES floats, written once with the compiler's
// vector types and included once per instruction set with LANES, TARGET and NAME() defined.
// Deliberately no include guard.

#define KEEP_LANES
#include "activation_lanes.h"

#define vector NAME(vector)
#define bits NAME(bits)
#define integers NAME(integers)
#define INLINE static inline __attribute__((always_inline)) TARGET
#define KERNEL static TARGET
#define UNROLL _Pragma("clang loop unroll(full)")
// A tile of the small product: rows, and vectors of a row.
#define TILE_ROWS 6
#define TILE_PARTS 2

typedef int32_t NAME(integers) __attribute__((vector_size(LANES * 4)));

// MARK: Elementwise

INLINE vector NAME(kept)(vector value, bits number, retort_dropout_mask mask) {
  bits hash = number * 0x9e3779b1u + (uint32_t)mask.key;
  hash ^= hash >> 16;
  hash *= 0x7feb352du;
  hash ^= (hash >> 15) ^ (uint32_t)(mask.key >> 32);
  hash *= 0x846ca68bu;
  hash ^= hash >> 16;
  integers keeps = (integers)(hash >> 8) >= (int32_t)mask.threshold;
  return (vector)((bits)(value * mask.scale) & (bits)keeps);
}

KERNEL void NAME(dropout)(float *x, size_t count, uint32_t first, retort_dropout_mask mask) {
  bits number;
  for (int lane = 0; lane < LANES; lane++) number[lane] = first + (uint32_t)lane;
  size_t i = 0;
  for (; i + LANES <= count; i += LANES, number += LANES)
    NAME(store)(x + i, NAME(kept)(NAME(load)(x + i), number, mask));
  if (i < count) {
    vector value = NAME(kept)(NAME(load_part)(x + i, count - i, 0), number, mask);
    NAME(store_part)(x + i, value, count - i);
  }
}

KERNEL void NAME(add)(float *out, const float *x, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    NAME(store)(out + i, NAME(load)(out + i) + NAME(load)(x + i));
  for (; i < count; i++) out[i] += x[i];
}

KERNEL double NAME(sum_of_squares)(const float *x, size_t count) {
  enum { STRETCH = 4096 };
  double total = 0;
  for (size_t start = 0; start < count; start += STRETCH) {
    size_t end = count - start < STRETCH ? count : start + STRETCH, i = start;
    vector squares = {0};
    for (; i + LANES <= end; i += LANES) {
      vector v = NAME(load)(x + i);
      squares = NAME(fma)(v, v, squares);
    }
    for (int lane = 0; lane < LANES; lane++) total += squares[lane];
    for (; i < end; i++) total += (double)x[i] * x[i];
  }
  return total;
}

// Φ(x) + x φ(x). With u = |x|: erfc(u/√2) = e^(−u²/2) (a₁t + … + a₅t⁵), t = 1/(1 + p u/√2), to 1.5e-7
// (Abramowitz and Stegun 7.1.26), so the slope for −u is e^(−u²/2) (poly/2 − u/√(2π)).
INLINE vector NAME(gelu_erf_slope_lanes)(vector x) {
  vector u = NAME(magnitude)(x);
  vector e = NAME(exp)(u * u * -0.5f);
  vector t = 1.0f / NAME(fma)(u, NAME(splat)(0.3275911f * 0.70710678f), NAME(splat)(1.0f));
  vector p = NAME(splat)(1.061405429f);
  p = NAME(fma)(p, t, NAME(splat)(-1.453152027f));
  p = NAME(fma)(p, t, NAME(splat)(1.421413741f));
  p = NAME(fma)(p, t, NAME(splat)(-0.284496736f));
  p = NAME(fma)(p, t, NAME(splat)(0.254829592f));
  vector below = e * NAME(fma)(p * t, NAME(splat)(0.5f), u * -0.39894228f);
  integers positive = x > 0;
  return (vector)(((bits)(1.0f - below) & (bits)positive) | ((bits)below & (bits)~positive)) +
         (x - x);
}

// With σ = 1/(1 + e^(−2y)), y = √(2/π)(x + 0.044715 x³): σ + 2 x σ (1 − σ) y'.
INLINE vector NAME(gelu_tanh_slope_lanes)(vector x) {
  vector square = x * x;
  vector y = x * NAME(fma)(square, NAME(splat)(0.797884561f * 0.044715f), NAME(splat)(0.797884561f));
  vector s = 1.0f / (1.0f + NAME(exp)(y * -2.0f));
  vector inner = NAME(fma)(square, NAME(splat)(0.797884561f * 0.134145f), NAME(splat)(0.797884561f));
  return s + 2.0f * x * inner * s * (1.0f - s);
}

#define SLOPE(name)                                                                       \
  KERNEL void NAME(name##_slope)(float *gradient, const float *x, size_t count) {         \
    size_t i = 0;                                                                         \
    for (; i + LANES <= count; i += LANES)                                                \
      NAME(store)(gradient + i,                                                           \
                  NAME(load)(gradient + i) * NAME(name##_slope_lanes)(NAME(load)(x + i))); \
    if (i < count) {                                                                      \
      size_t rest = count - i;                                                            \
      vector slope = NAME(name##_slope_lanes)(NAME(load_part)(x + i, rest, 0));           \
      NAME(store_part)(gradient + i, NAME(load_part)(gradient + i, rest, 0) * slope, rest); \
    }                                                                                     \
  }
SLOPE(gelu_erf)
SLOPE(gelu_tanh)
#undef SLOPE

KERNEL void NAME(adam)(float *parameters, float *first, float *second, const float *gradient,
                       size_t count, retort_adam_step step) {
  for (size_t i = 0; i < count; i += LANES) {
    size_t part = count - i < LANES ? count - i : LANES;
#define TAKE(from) (part == LANES ? NAME(load)(from + i) : NAME(load_part)(from + i, part, 0))
#define PUT(to, value) \
  part == LANES ? NAME(store)(to + i, value) : NAME(store_part)(to + i, value, part)
    vector p = TAKE(parameters), m = TAKE(first), v = TAKE(second);
    vector g = TAKE(gradient) * step.scale + step.penalty * p;
    m = NAME(fma)(m, NAME(splat)(step.beta1), g * (1.0f - step.beta1));
    v = NAME(fma)(v, NAME(splat)(step.beta2), g * g * (1.0f - step.beta2));
    vector root = __builtin_elementwise_sqrt(v) * step.root + step.epsilon;
    p = p * step.decay - step.rate * m / root;
    PUT(first, m);
    PUT(second, v);
    PUT(parameters, p);
#undef TAKE
#undef PUT
  }
}

// MARK: Rows

KERNEL void NAME(layer_norm_backward)(float *dx, float *dweight, float *dbias, const float *dy,
                                      const float *s, const float *weight, size_t count,
                                      float epsilon) {
  if (count == 0) return;
  size_t whole = count / LANES * LANES;
  vector sums = {0};
  float total = 0;
  for (size_t i = 0; i < whole; i += LANES) sums += NAME(load)(s + i);
  for (size_t i = whole; i < count; i++) total += s[i];
  float mean = (NAME(sum)(sums) + total) / (float)count;
  vector squares = {0};
  float square = 0;
  for (size_t i = 0; i < whole; i += LANES) {
    vector d = NAME(load)(s + i) - mean;
    squares = NAME(fma)(d, d, squares);
  }
  for (size_t i = whole; i < count; i++) square += (s[i] - mean) * (s[i] - mean);
  float scale = 1.0f / sqrtf((NAME(sum)(squares) + square) / (float)count + epsilon);

  // The means of g = dy·weight and of g·x̂.
  vector plain = {0}, along = {0};
  float plain_rest = 0, along_rest = 0;
  for (size_t i = 0; i < whole; i += LANES) {
    vector unit = (NAME(load)(s + i) - mean) * scale, upper = NAME(load)(dy + i);
    vector g = upper * NAME(load)(weight + i);
    plain += g;
    along = NAME(fma)(g, unit, along);
    NAME(store)(dweight + i, NAME(fma)(upper, unit, NAME(load)(dweight + i)));
    NAME(store)(dbias + i, NAME(load)(dbias + i) + upper);
  }
  for (size_t i = whole; i < count; i++) {
    float unit = (s[i] - mean) * scale;
    plain_rest += dy[i] * weight[i];
    along_rest += dy[i] * weight[i] * unit;
    dweight[i] += dy[i] * unit;
    dbias[i] += dy[i];
  }
  float plain_mean = (NAME(sum)(plain) + plain_rest) / (float)count;
  float along_mean = (NAME(sum)(along) + along_rest) / (float)count;
  for (size_t i = 0; i < whole; i += LANES) {
    vector unit = (NAME(load)(s + i) - mean) * scale;
    vector g = NAME(load)(dy + i) * NAME(load)(weight + i) - plain_mean;
    NAME(store)(dx + i, (g - unit * along_mean) * scale);
  }
  for (size_t i = whole; i < count; i++) {
    float unit = (s[i] - mean) * scale;
    dx[i] = (dy[i] * weight[i] - plain_mean - unit * along_mean) * scale;
  }
}

// gradient = scale · p · (gradient − Σ p·gradient), both `count` wide, a multiple of LANES.
INLINE void NAME(softmax_backward)(float *gradient, const float *p, size_t count, float scale) {
  vector sums = {0};
  for (size_t i = 0; i < count; i += LANES)
    sums = NAME(fma)(NAME(load)(p + i), NAME(load)(gradient + i), sums);
  float total = NAME(sum)(sums);
  for (size_t i = 0; i < count; i += LANES)
    NAME(store)(gradient + i, (NAME(load)(gradient + i) - total) * NAME(load)(p + i) * scale);
}

// MARK: Small products

INLINE void NAME(tile)(const int rows, const int parts, float *c, size_t c_stride, const float *a,
                       size_t a_row, size_t a_depth, const float *b, size_t b_stride, size_t depth,
                       bool adds) {
  vector sums[TILE_ROWS][TILE_PARTS];
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int p = 0; p < parts; p++) sums[r][p] = (vector){0};
  for (size_t k = 0; k < depth; k++) {
    vector values[TILE_PARTS];
    UNROLL for (int p = 0; p < parts; p++)
      values[p] = NAME(load)(b + k * b_stride + (size_t)p * LANES);
    UNROLL for (int r = 0; r < rows; r++) {
      vector factor = NAME(splat)(a[(size_t)r * a_row + k * a_depth]);
      UNROLL for (int p = 0; p < parts; p++) sums[r][p] = NAME(fma)(factor, values[p], sums[r][p]);
    }
  }
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int p = 0; p < parts; p++) {
      float *to = c + (size_t)r * c_stride + (size_t)p * LANES;
      NAME(store)(to, adds ? sums[r][p] + NAME(load)(to) : sums[r][p]);
    }
}

INLINE void NAME(column_of_tiles)(const int parts, float *c, size_t c_stride, const float *a,
                                  size_t a_row, size_t a_depth, const float *b, size_t b_stride,
                                  size_t rows, size_t depth, bool adds) {
  size_t r = 0;
  for (; r + TILE_ROWS <= rows; r += TILE_ROWS)
    NAME(tile)(TILE_ROWS, parts, c + r * c_stride, c_stride, a + r * a_row, a_row, a_depth, b,
               b_stride, depth, adds);
  for (; r + 2 <= rows; r += 2)
    NAME(tile)(2, parts, c + r * c_stride, c_stride, a + r * a_row, a_row, a_depth, b, b_stride,
               depth, adds);
  for (; r < rows; r++)
    NAME(tile)(1, parts, c + r * c_stride, c_stride, a + r * a_row, a_row, a_depth, b, b_stride,
               depth, adds);
}

KERNEL void NAME(small_product)(float *c, size_t c_stride, const float *a, size_t a_row,
                                size_t a_depth, const float *b, size_t b_stride, size_t rows,
                                size_t columns, size_t depth, bool adds) {
  size_t j = 0;
  for (; j + TILE_PARTS * LANES <= columns; j += TILE_PARTS * LANES)
    NAME(column_of_tiles)(TILE_PARTS, c + j, c_stride, a, a_row, a_depth, b + j, b_stride, rows,
                          depth, adds);
  for (; j + LANES <= columns; j += LANES)
    NAME(column_of_tiles)(1, c + j, c_stride, a, a_row, a_depth, b + j, b_stride, rows, depth,
                          adds);
  for (; j < columns; j++)
    for (size_t r = 0; r < rows; r++) {
      float sum = adds ? c[r * c_stride + j] : 0;
      for (size_t k = 0; k < depth; k++) sum += a[r * a_row + k * a_depth] * b[k * b_stride + j];
      c[r * c_stride + j] = sum;
    }
}

// MARK: Attention

// `count` rows of `size` values as columns of width `stride`, the columns beyond filled with zeros.
INLINE void NAME(transpose)(float *out, size_t stride, const float *x, size_t x_stride,
                            size_t count, size_t size) {
  for (size_t i = 0; i < size; i++) {
    float *row = out + i * stride;
    for (size_t j = 0; j < count; j++) row[j] = x[j * x_stride + i];
    for (size_t j = count; j < stride; j++) row[j] = 0;
  }
}

// Probabilities of all queries of a head, rows of `stride`; `turned` is scratch.
INLINE void NAME(probabilities)(float *p, size_t stride, const float *q, const float *k,
                                size_t qkv_stride, size_t length, size_t keys, size_t size,
                                float scale, float *turned) {
  NAME(transpose)(turned, stride, k, qkv_stride, length, size);
  NAME(small_product)(p, stride, q, qkv_stride, 1, turned, stride, length, stride, size, false);
  for (size_t i = 0; i < length; i++) {
    NAME(softmax)(p + i * stride, keys, scale);
    for (size_t j = keys; j < stride; j++) p[i * stride + j] = 0;
  }
}

INLINE void NAME(drop_rows)(float *p, size_t stride, size_t length, retort_dropout_mask mask) {
  if (mask.threshold == 0) return;
  for (size_t i = 0; i < length; i++)
    NAME(dropout)(p + i * stride, length, (uint32_t)(i * length), mask);
}

KERNEL void NAME(attention_dropped)(float *out, size_t out_stride, const float *qkv, size_t stride,
                                    size_t length, size_t keys, size_t heads, size_t head,
                                    size_t size, float scale, retort_dropout_mask mask, float *scratch) {
  size_t width = heads * size, padded = PADDED(length);
  const float *q = qkv + head * size, *k = q + width, *v = k + width;
  float *p = scratch, *turned = p + length * padded;
  NAME(probabilities)(p, padded, q, k, stride, length, keys, size, scale, turned);
  NAME(drop_rows)(p, padded, length, mask);
  NAME(small_product)(out + head * size, out_stride, p, padded, 1, v, stride, length, size, length,
                      false);
}

KERNEL void NAME(attention_backward)(float *dqkv, const float *dout, size_t out_stride,
                                     const float *qkv, size_t stride, size_t length, size_t keys,
                                     size_t heads, size_t head, size_t size, float scale,
                                     retort_dropout_mask mask, float *scratch) {
  size_t width = heads * size, padded = PADDED(length);
  const float *q = qkv + head * size, *k = q + width, *v = k + width, *dhead = dout + head * size;
  float *dq = dqkv + head * size, *dk = dq + width, *dv = dk + width;
  float *p = scratch, *dp = p + length * padded, *turned = dp + length * padded;
  NAME(probabilities)(p, padded, q, k, stride, length, keys, size, scale, turned);
  const float *dropped = p;
  if (mask.threshold > 0) {
    __builtin_memcpy(dp, p, length * padded * sizeof(float));
    NAME(drop_rows)(dp, padded, length, mask);
    dropped = dp;
  }
  NAME(small_product)(dv, stride, dropped, 1, padded, dhead, out_stride, length, size, length,
                      false);
  NAME(transpose)(turned, padded, v, stride, length, size);
  NAME(small_product)(dp, padded, dhead, out_stride, 1, turned, padded, length, padded, size, false);
  NAME(drop_rows)(dp, padded, length, mask);
  for (size_t i = 0; i < length; i++)
    NAME(softmax_backward)(dp + i * padded, p + i * padded, padded, scale);
  NAME(small_product)(dq, stride, dp, padded, 1, k, stride, length, size, length, false);
  NAME(small_product)(dk, stride, dp, 1, padded, q, stride, length, size, length, false);
}

#undef vector
#undef bits
#undef integers
#undef INLINE
#undef KERNEL
#undef UNROLL
#undef TILE_ROWS
#undef TILE_PARTS
#undef LANES
#undef TARGET
#undef NAME
