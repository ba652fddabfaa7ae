#include "retort_matrix.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "matrix_levels.h"

// Attention in bf16 (see retort_attention_bf16): a pair of neighbouring bf16 is a 32-bit word, and one
// instruction adds the two products of 16 pairs. Keys lie in panels of 16, a word of each for every pair of
// components, values in panels of 16 components, a word of each for every pair of keys.

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define INLINE static inline __attribute__((always_inline)) TARGET
#define UNROLL _Pragma("clang loop unroll(full)")

enum { ROWS = 8, LANES = 16, WORD = 2 };

// Two vectors rounded, the second behind the first.
INLINE __m512i rounded(__m512 first, __m512 second) {
  return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}

// sum + the products of 16 pairs with one pair.
INLINE __m512 dot(__m512 sum, __m512i pairs, uint32_t pair) {
  return _mm512_dpbf16_ps(sum, (__m512bh)pairs, (__m512bh)_mm512_set1_epi32((int)pair));
}

// 2ᵗ for t ≤ 0: t = n + f with 0 ≤ f < 1, and a polynomial for 2ᶠ (7e-5 relative, a twentieth of what
// rounding to bf16 takes). A NaN stays.
INLINE __m512 power(__m512 t) {
  __m512 f = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(0.0780245168f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.226067164f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.695833538f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.999925219f));
  return _mm512_scalef_ps(p, t);
}

// Transposes 16 × 16 words.
INLINE void transpose(__m512i x[LANES]) {
  __m512i y[LANES];
  UNROLL for (int i = 0; i < LANES; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  // x[4·q + c]: of rows 4q to 4q + 3 columns c, c + 4, c + 8 and c + 12, a quarter of the vector each.
  UNROLL for (int i = 0; i < LANES; i += 4) {
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  UNROLL for (int c = 0; c < 4; c++) {
    __m512i a = _mm512_shuffle_i32x4(x[c], x[4 + c], 0x44);
    __m512i b = _mm512_shuffle_i32x4(x[c], x[4 + c], 0xee);
    __m512i d = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0x44);
    __m512i e = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0xee);
    y[c] = _mm512_shuffle_i32x4(a, d, 0x88);
    y[4 + c] = _mm512_shuffle_i32x4(a, d, 0xdd);
    y[8 + c] = _mm512_shuffle_i32x4(b, e, 0x88);
    y[12 + c] = _mm512_shuffle_i32x4(b, e, 0xdd);
  }
  UNROLL for (int i = 0; i < LANES; i++) x[i] = y[i];
}

// Panels of keys: word d of key j of a panel is at [d][j].
static TARGET void pack_keys(uint32_t *panels, const float *keys, size_t stride, size_t count,
                             size_t size) {
  for (size_t first = 0; first < count; first += LANES)
    for (size_t column = 0; column < size; column += 2 * LANES) {
      __m512i words[LANES];
      UNROLL for (int j = 0; j < LANES; j++) {
        words[j] = _mm512_setzero_si512();
        if (first + (size_t)j < count) {
          const float *key = keys + (first + (size_t)j) * stride + column;
          words[j] = rounded(_mm512_loadu_ps(key), _mm512_loadu_ps(key + LANES));
        }
      }
      transpose(words);
      UNROLL for (int d = 0; d < LANES; d++, panels += LANES) _mm512_store_si512(panels, words[d]);
    }
}

// Panels of values: component c of keys 2j and 2j + 1 is word [j][c], for `pairs` of keys.
static TARGET void pack_values(uint32_t *panels, const float *values, size_t stride, size_t count,
                               size_t pairs, size_t size) {
  static const uint16_t order[2 * LANES] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                            21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                            11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  __m512i interleave = _mm512_loadu_si512(order);
  for (size_t column = 0; column < size; column += LANES)
    for (size_t j = 0; j < pairs; j++, panels += LANES) {
      const float *value = values + 2 * j * stride + column;
      __m512 one = 2 * j < count ? _mm512_loadu_ps(value) : _mm512_setzero_ps();
      __m512 other = 2 * j + 1 < count ? _mm512_loadu_ps(value + stride) : _mm512_setzero_ps();
      _mm512_store_si512(panels, _mm512_permutexvar_epi16(interleave, rounded(one, other)));
    }
}

// scores[r][j] = queries[r] · keys[j] for some panels of keys.
INLINE void tile_scores(const int panels, float *scores, size_t stride, const uint32_t *queries,
                        const uint32_t *keys, size_t words) {
  __m512 sums[ROWS][3];
  UNROLL for (int r = 0; r < ROWS; r++)
    UNROLL for (int p = 0; p < panels; p++) sums[r][p] = _mm512_setzero_ps();
  for (size_t d = 0; d < words; d++) {
    __m512i pairs[3];
    UNROLL for (int p = 0; p < panels; p++)
      pairs[p] = _mm512_load_si512(keys + ((size_t)p * words + d) * LANES);
    UNROLL for (int r = 0; r < ROWS; r++)
      UNROLL for (int p = 0; p < panels; p++)
        sums[r][p] = dot(sums[r][p], pairs[p], queries[(size_t)r * words + d]);
  }
  UNROLL for (int r = 0; r < ROWS; r++)
    UNROLL for (int p = 0; p < panels; p++)
      _mm512_store_ps(scores + (size_t)r * stride + (size_t)p * LANES, sums[r][p]);
}

// Rounds 2^(score - largest) to words, 0 behind `count` up to whole vectors, and gives 1/sum.
INLINE float weigh(uint32_t *weights, const float *scores, size_t count) {
  size_t whole = count / LANES * LANES;
  __mmask16 rest = (__mmask16)((1u << (count - whole)) - 1);
  __m512 top = _mm512_set1_ps(-INFINITY);
  for (size_t j = 0; j < whole; j += LANES) top = _mm512_max_ps(_mm512_load_ps(scores + j), top);
  if (rest) top = _mm512_mask_max_ps(top, rest, _mm512_load_ps(scores + whole), top);
  __m512 largest = _mm512_set1_ps(_mm512_reduce_max_ps(top));
  __m512 sums = _mm512_setzero_ps(), others = sums;
  size_t j = 0;
  for (; j + 2 * LANES <= count; j += 2 * LANES) {
    __m512 one = power(_mm512_sub_ps(_mm512_load_ps(scores + j), largest));
    __m512 other = power(_mm512_sub_ps(_mm512_load_ps(scores + j + LANES), largest));
    sums = _mm512_add_ps(sums, one);
    others = _mm512_add_ps(others, other);
    _mm512_store_si512(weights + j / WORD, rounded(one, other));
  }
  if (j < count) {
    __m512 one = power(_mm512_sub_ps(_mm512_load_ps(scores + j), largest)), other;
    if (j < whole) {
      other = rest ? power(_mm512_sub_ps(_mm512_load_ps(scores + whole), largest)) : one;
      other = _mm512_maskz_mov_ps(rest, other);
    } else {
      one = _mm512_maskz_mov_ps(rest, one);
      other = _mm512_setzero_ps();
    }
    sums = _mm512_add_ps(sums, one);
    others = _mm512_add_ps(others, other);
    _mm512_store_si512(weights + j / WORD, rounded(one, other));
  }
  return 1.0f / _mm512_reduce_add_ps(_mm512_add_ps(sums, others));
}

// out[r] = inverse[r] · Σⱼ weights[r][j] values[j] for two panels of values.
INLINE void tile_mix(float *out, size_t out_stride, size_t rows, const uint32_t *weights,
                     size_t stride, const float *inverse, const uint32_t *values, size_t pairs,
                     size_t panel) {
  __m512 sums[ROWS][2];
  UNROLL for (int r = 0; r < ROWS; r++) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  for (size_t j = 0; j < pairs; j++) {
    __m512i one = _mm512_load_si512(values + j * LANES);
    __m512i other = _mm512_load_si512(values + panel + j * LANES);
    UNROLL for (int r = 0; r < ROWS; r++) {
      uint32_t weight = weights[(size_t)r * stride + j];
      sums[r][0] = dot(sums[r][0], one, weight);
      sums[r][1] = dot(sums[r][1], other, weight);
    }
  }
  for (size_t r = 0; r < rows; r++, out += out_stride)
    UNROLL for (int p = 0; p < 2; p++)
      _mm512_storeu_ps(out + p * LANES, _mm512_mul_ps(sums[r][p], _mm512_set1_ps(inverse[r])));
}

// `size` and `most`, a multiple of 32 that `attended` does not exceed, are constants where they matter: then
// rows lie at constant distances.
INLINE void attend(float *out, size_t out_stride, const float *qkv, size_t stride, size_t length,
                   size_t attended, size_t heads, const size_t size, float scale, const size_t most,
                   float *scratch) {
  const size_t words = size / WORD, most_pairs = most / WORD;
  size_t width = heads * size, key_panels = (attended + LANES - 1) / LANES;
  size_t pairs = (attended + 1) / WORD;
  // Of a tile: queries, scores and weights; of a head: keys and values.
  uint32_t *queries = (uint32_t *)scratch;
  float *scores = scratch + ROWS * words;
  uint32_t *weights = (uint32_t *)(scores + ROWS * most);
  uint32_t *keys = weights + ROWS * most_pairs;
  uint32_t *values = keys + key_panels * LANES * words;
  // Scores are powers of two, so that the exponential needs no product.
  __m512 unit = _mm512_set1_ps(scale * 1.44269504f);
  for (size_t head = 0; head < heads; head++) {
    const float *q = qkv + head * size, *k = q + width, *v = k + width;
    pack_keys(keys, k, stride, attended, size);
    pack_values(values, v, stride, attended, pairs, size);
    for (size_t start = 0; start < length; start += ROWS) {
      size_t rows = length - start < ROWS ? length - start : ROWS;
      for (size_t r = 0; r < ROWS; r++)
        for (size_t column = 0; column < size; column += 2 * LANES) {
          __m512i query = _mm512_setzero_si512();
          if (r < rows) {
            const float *from = q + (start + r) * stride + column;
            query = rounded(_mm512_mul_ps(_mm512_loadu_ps(from), unit),
                            _mm512_mul_ps(_mm512_loadu_ps(from + LANES), unit));
          }
          _mm512_store_si512(queries + r * words + column / WORD, query);
        }
      size_t panel = 0;
#define TILE(count) \
  tile_scores(count, scores + panel * LANES, most, queries, keys + panel * LANES * words, words)
      for (; panel + 3 <= key_panels; panel += 3) TILE(3);
      if (key_panels - panel == 2) TILE(2);
      if (key_panels - panel == 1) TILE(1);
#undef TILE
      float inverse[ROWS];
      for (size_t r = 0; r < ROWS; r++)
        inverse[r] = weigh(weights + r * most_pairs, scores + r * most, attended);
      for (size_t column = 0; column < size; column += 2 * LANES)
        tile_mix(out + start * out_stride + head * size + column, out_stride, rows, weights,
                 most_pairs, inverse, values + column * pairs, pairs, pairs * LANES);
    }
  }
}

TARGET void retort_attention_bf16_avx512(float *out, size_t out_stride, const float *qkv,
                                         size_t stride, size_t length, size_t attended,
                                         size_t heads, size_t size, float scale, float *scratch) {
  size_t most = (attended + 2 * LANES - 1) / (2 * LANES) * 2 * LANES;
#define ATTEND(size, most)                                                                         \
  attend(out, out_stride, qkv, stride, length, attended, heads, size, scale, most, scratch)
  if (size == 32 && most <= RETORT_ATTENTION_USUAL) {
    ATTEND(32, RETORT_ATTENTION_USUAL);
  } else if (size == 64 && most <= RETORT_ATTENTION_USUAL) {
    ATTEND(64, RETORT_ATTENTION_USUAL);
  } else {
    ATTEND(size, most);
  }
#undef ATTEND
}
#endif
