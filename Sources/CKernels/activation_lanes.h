// The row kernels of activation.c over vectors of LANES floats, written once with the compiler's
// vector types and included once per instruction set with LANES, TARGET and NAME() defined.
// Deliberately no include guard.

#define INLINE static inline __attribute__((always_inline)) TARGET
#define UNROLL_FEW _Pragma("clang loop unroll(full)")
#define KERNEL static __attribute__((unused)) TARGET

typedef float NAME(vector) __attribute__((vector_size(LANES * 4)));
typedef uint32_t NAME(bits) __attribute__((vector_size(LANES * 4)));

#define vector NAME(vector)
#define bits NAME(bits)

// Subtracting zero, unlike adding it, changes no value and costs no instruction.
INLINE vector NAME(splat)(float value) { return value - (vector){0}; }

INLINE vector NAME(load)(const float *from) {
  vector value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

INLINE void NAME(store)(float *to, vector value) { __builtin_memcpy(to, &value, sizeof value); }

// The first `count` < LANES floats, the rest filled with `pad`.
INLINE vector NAME(load_part)(const float *from, size_t count, float pad) {
  vector value = NAME(splat)(pad);
  __builtin_memcpy(&value, from, count * sizeof(float));
  return value;
}

INLINE void NAME(store_part)(float *to, vector value, size_t count) {
  __builtin_memcpy(to, &value, count * sizeof(float));
}

INLINE vector NAME(fma)(vector a, vector b, vector c) { return __builtin_elementwise_fma(a, b, c); }

// The larger and the smaller; where that is undecided, a NaN in `a` stays.
#if LANES == 16
INLINE vector NAME(max)(vector a, vector b) {
  return (vector)_mm512_max_ps((__m512)b, (__m512)a);
}
INLINE vector NAME(min)(vector a, vector b) {
  return (vector)_mm512_min_ps((__m512)b, (__m512)a);
}
#elif LANES == 8
INLINE vector NAME(max)(vector a, vector b) {
  return (vector)_mm256_max_ps((__m256)b, (__m256)a);
}
INLINE vector NAME(min)(vector a, vector b) {
  return (vector)_mm256_min_ps((__m256)b, (__m256)a);
}
#else
INLINE vector NAME(max)(vector a, vector b) {
  return (vector)vmaxq_f32((float32x4_t)a, (float32x4_t)b);
}
INLINE vector NAME(min)(vector a, vector b) {
  return (vector)vminq_f32((float32x4_t)a, (float32x4_t)b);
}
#endif

INLINE vector NAME(magnitude)(vector v) { return (vector)((bits)v & 0x7fffffffu); }

// Every lane changes places with the one so far away.
#if LANES == 16
#define TURN8(v) __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define TURN4(v) __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define TURN2(v) __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define TURN1(v) __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#elif LANES == 8
#define TURN4(v) __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3)
#define TURN2(v) __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5)
#define TURN1(v) __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6)
#else
#define TURN2(v) __builtin_shufflevector(v, v, 2, 3, 0, 1)
#define TURN1(v) __builtin_shufflevector(v, v, 1, 0, 3, 2)
#endif

// All lanes joined by `join`, half by half: a chain of lanes would wait for itself.
#if LANES == 16
#define FOLD(join, v)    \
  v = join(v, TURN8(v)); \
  v = join(v, TURN4(v)); \
  FOLD_FOUR(join, v)
#elif LANES == 8
#define FOLD(join, v)    \
  v = join(v, TURN4(v)); \
  FOLD_FOUR(join, v)
#else
#define FOLD(join, v) FOLD_FOUR(join, v)
#endif
#define FOLD_FOUR(join, v) \
  v = join(v, TURN2(v));   \
  v = join(v, TURN1(v));   \
  return v[0];

INLINE vector NAME(plus)(vector a, vector b) { return a + b; }
INLINE float NAME(sum)(vector v) { FOLD(NAME(plus), v) }
INLINE float NAME(largest)(vector v) { FOLD(NAME(max), v) }
INLINE float NAME(smallest)(vector v) { FOLD(NAME(min), v) }
#undef TURN8
#undef TURN4
#undef TURN2
#undef TURN1
#undef FOLD
#undef FOLD_FOUR

// exp(x) with x clamped to ±87: x = n ln 2 + r, |r| ≤ ln(2)/2, Taylor to r⁶ (1.3e-7 relative), and
// n added to the exponent. Adding 1.5·2²³ leaves n in the low bits of the mantissa.
INLINE vector NAME(exp)(vector x) {
  x = NAME(min)(NAME(max)(x, NAME(splat)(-87.0f)), NAME(splat)(87.0f));
  vector shifted = NAME(fma)(x, NAME(splat)(1.44269504f), NAME(splat)(12582912.0f));
  vector n = shifted - 12582912.0f;
  vector r = NAME(fma)(n, NAME(splat)(-0.693359375f), x);
  r = NAME(fma)(n, NAME(splat)(2.12194440e-4f), r);
  vector p = NAME(splat)(1.0f / 720.0f);
  p = NAME(fma)(p, r, NAME(splat)(1.0f / 120.0f));
  p = NAME(fma)(p, r, NAME(splat)(1.0f / 24.0f));
  p = NAME(fma)(p, r, NAME(splat)(1.0f / 6.0f));
  p = NAME(fma)(p, r, NAME(splat)(0.5f));
  p = NAME(fma)(p, r, NAME(splat)(1.0f));
  p = NAME(fma)(p, r, NAME(splat)(1.0f));
  return (vector)((bits)p + ((bits)shifted << 23));
}

// max(x, 0) − h(|x|), which both forms of GELU are, with h a polynomial (highest power first) of
// 2|x|/end − 1 on 0...end; beyond, h is about 0 and held there.
INLINE vector NAME(gelu_by)(vector x, const float *coefficients, const int terms, const float end) {
  vector u = NAME(magnitude)(x);
  vector t = NAME(fma)(NAME(min)(u, NAME(splat)(end)), NAME(splat)(2 / end), NAME(splat)(-1.0f));
  vector h = NAME(splat)(coefficients[0]);
  UNROLL_FEW for (int i = 1; i < terms; i++)
      h = NAME(fma)(h, t, NAME(splat)(coefficients[i]));
  return NAME(max)(x, NAME(splat)(0)) - h;
}

// x Φ(x): h(u) = u/2 erfc(u/√2).
INLINE vector NAME(gelu_erf_lanes)(vector x) {
  return NAME(gelu_by)(x, gelu_erf_terms, GELU_TERMS, 5.5f);
}

// x/2 (1 + tanh(√(2/π)(x + 0.044715 x³))): h(u) = u/(1 + exp(2√(2/π)(u + 0.044715 u³))).
INLINE vector NAME(gelu_tanh_lanes)(vector x) {
  return NAME(gelu_by)(x, gelu_tanh_terms, GELU_TERMS, 5.5f);
}

KERNEL void NAME(gelu_erf)(float *out, const float *x, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    NAME(store)(out + i, NAME(gelu_erf_lanes)(NAME(load)(x + i)));
  if (i < count) {
    size_t rest = count - i;
    NAME(store_part)(out + i, NAME(gelu_erf_lanes)(NAME(load_part)(x + i, rest, 0)), rest);
  }
}

KERNEL void NAME(gelu_tanh)(float *out, const float *x, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    NAME(store)(out + i, NAME(gelu_tanh_lanes)(NAME(load)(x + i)));
  if (i < count) {
    size_t rest = count - i;
    NAME(store_part)(out + i, NAME(gelu_tanh_lanes)(NAME(load_part)(x + i, rest, 0)), rest);
  }
}

KERNEL void NAME(softmax)(float *row, size_t count, float scale) {
  if (count == 0) return;
  size_t whole = count / LANES * LANES, rest = count - whole;
  vector largest = NAME(splat)(row[0]);
  for (size_t i = 0; i < whole; i += LANES) largest = NAME(max)(NAME(load)(row + i), largest);
  if (rest) largest = NAME(max)(NAME(load_part)(row + whole, rest, row[0]), largest);
  float top = NAME(largest)(largest);

  vector sums = {0};
  for (size_t i = 0; i < whole; i += LANES) {
    vector e = NAME(exp)((NAME(load)(row + i) - top) * scale);
    NAME(store)(row + i, e);
    sums += e;
  }
  float total = NAME(sum)(sums);
  if (rest) {
    vector e = NAME(exp)((NAME(load_part)(row + whole, rest, top) - top) * scale);
    NAME(store_part)(row + whole, e, rest);
    for (size_t lane = 0; lane < rest; lane++) total += e[lane];
  }
  float inverse = 1.0f / total;
  for (size_t i = 0; i < whole; i += LANES) NAME(store)(row + i, NAME(load)(row + i) * inverse);
  for (size_t i = whole; i < count; i++) row[i] *= inverse;
}

KERNEL void NAME(layer_norm)(float *out, const float *x, const float *residual,
                             const float *weight, const float *bias, size_t count,
                             float epsilon) {
  if (count == 0) return;
  size_t whole = count / LANES * LANES, fours = count / (4 * LANES) * (4 * LANES);
  // Four sums, because each waits for its last addition.
  vector sums[4] = {0};
  float total = 0;
  for (size_t i = 0; i < whole; i += LANES) {
    vector s = NAME(load)(x + i);
    if (residual) s += NAME(load)(residual + i);
    NAME(store)(out + i, s);
  }
  for (size_t i = 0; i < fours; i += 4 * LANES)
    UNROLL_FEW for (int part = 0; part < 4; part++)
      sums[part] += NAME(load)(out + i + part * LANES);
  for (size_t i = fours; i < whole; i += LANES) sums[0] += NAME(load)(out + i);
  for (size_t i = whole; i < count; i++) {
    out[i] = residual ? x[i] + residual[i] : x[i];
    total += out[i];
  }
  float mean = (NAME(sum)(sums[0] + sums[1] + (sums[2] + sums[3])) + total) / (float)count;

  vector squares[4] = {0};
  float square = 0;
  for (size_t i = 0; i < fours; i += 4 * LANES)
    UNROLL_FEW for (int part = 0; part < 4; part++) {
      vector d = NAME(load)(out + i + part * LANES) - mean;
      squares[part] = NAME(fma)(d, d, squares[part]);
    }
  for (size_t i = fours; i < whole; i += LANES) {
    vector d = NAME(load)(out + i) - mean;
    squares[0] = NAME(fma)(d, d, squares[0]);
  }
  for (size_t i = whole; i < count; i++) square += (out[i] - mean) * (out[i] - mean);
  vector all = squares[0] + squares[1] + (squares[2] + squares[3]);
  float scale = 1.0f / sqrtf((NAME(sum)(all) + square) / (float)count + epsilon);

  for (size_t i = 0; i < whole; i += LANES) {
    vector d = (NAME(load)(out + i) - mean) * scale;
    NAME(store)(out + i, NAME(fma)(d, NAME(load)(weight + i), NAME(load)(bias + i)));
  }
  for (size_t i = whole; i < count; i++) out[i] = (out[i] - mean) * scale * weight[i] + bias[i];
}

#undef vector
#undef bits
#undef INLINE
#undef KERNEL
#undef UNROLL_FEW
#ifndef KEEP_LANES
#undef LANES
#undef TARGET
#undef NAME
#endif
