#include "retort_terms.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

size_t retort_term_bytes(size_t dimension, int bits) {
  return (dimension * (size_t)bits + 7) / 8;
}

// MARK: Scalar reference

static inline float widened(uint16_t bf16) {
  uint32_t bits = (uint32_t)bf16 << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline size_t number(const uint8_t *id, int bytes) {
  return (size_t)id[0] | (size_t)id[1] << 8 | (bytes > 2 ? (size_t)id[2] << 16 : 0);
}

// The bucket of component `i`.
static inline unsigned bucket(const uint8_t *residuals, size_t i, int bits) {
  size_t first = i * (size_t)bits;
  unsigned code = 0;
  for (int b = 0; b < bits; b++) {
    size_t at = first + (size_t)b;
    code |= (unsigned)(residuals[at / 8] >> (7 - at % 8) & 1) << b;
  }
  return code;
}

static void normalize(float *row, size_t count, double squares) {
  if (!(squares > 0)) return;
  float scale = (float)(1 / sqrt(squares));
  for (size_t i = 0; i < count; i++) row[i] *= scale;
}

static bool scalar_decode(float *out, const uint8_t *ids, const uint8_t *residuals, size_t rows,
                          const retort_term_book *book) {
  size_t bytes = retort_term_bytes(book->dimension, book->bits);
  for (size_t r = 0; r < rows; r++, out += book->dimension, residuals += bytes) {
    size_t id = number(ids + r * (size_t)book->id_bytes, book->id_bytes);
    if (id >= book->count) return false;
    const uint16_t *centroid = book->centroids + id * book->dimension;
    double squares = 0;
    for (size_t i = 0; i < book->dimension; i++) {
      out[i] = widened(centroid[i]) + book->weights[bucket(residuals, i, book->bits)];
      squares += (double)out[i] * out[i];
    }
    if (book->normalizes) normalize(out, book->dimension, squares);
  }
  return true;
}

// MARK: AVX2, which AVX-512 uses too

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX2_INLINE static inline __attribute__((always_inline)) AVX2
#define UNROLL _Pragma("clang loop unroll(full)")

// The weights of eight components whose bits begin at `from`. `weights` is in the order of the bits as
// they lie, in which the lowest comes first.
AVX2_INLINE __m256 eight_weights(const uint8_t *from, const int bits, __m256 low, __m256 high) {
  uint32_t word = 0;
  memcpy(&word, from, (size_t)bits);
  __m256i all = _mm256_set1_epi32((int)word);
  if (bits == 1) {
    // Only the lowest bit of an index counts: the weights repeat.
    __m256i index = _mm256_srlv_epi32(all, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0));
    return _mm256_permutevar8x32_ps(low, index);
  }
  if (bits == 2) {
    __m256i index = _mm256_srlv_epi32(all, _mm256_setr_epi32(6, 4, 2, 0, 14, 12, 10, 8));
    return _mm256_permutevar8x32_ps(low, index);
  }
  __m256i index = _mm256_srlv_epi32(all, _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24));
  // The fourth bit chooses between the halves.
  __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));
  return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index),
                          _mm256_permutevar8x32_ps(high, index), upper);
}

AVX2_INLINE __m256 eight_wide(const uint16_t *bf16) {
  __m256i halves = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)bf16));
  return _mm256_castsi256_ps(_mm256_slli_epi32(halves, 16));
}

AVX2_INLINE bool decode_bits(float *out, const uint8_t *ids, const uint8_t *residuals, size_t rows,
                             const retort_term_book *book, const int bits) {
  float ordered[16];
  for (unsigned i = 0; i < 16; i++) {
    uint8_t lying = (uint8_t)((i & ((1u << bits) - 1)) << (8 - bits));
    ordered[i] = book->weights[bucket(&lying, 0, bits)];
  }
  const __m256 low = _mm256_loadu_ps(ordered), high = _mm256_loadu_ps(ordered + 8);
  const size_t dimension = book->dimension, whole = dimension / 8 * 8;
  const size_t bytes = retort_term_bytes(dimension, bits);
  for (size_t r = 0; r < rows; r++, out += dimension, residuals += bytes) {
    size_t id = number(ids + r * (size_t)book->id_bytes, book->id_bytes);
    if (id >= book->count) return false;
    if (r + 8 < rows) {
      size_t next = number(ids + (r + 8) * (size_t)book->id_bytes, book->id_bytes);
      const char *ahead = (const char *)(book->centroids + (next % book->count) * dimension);
      for (size_t line = 0; line < dimension * 2; line += 64) __builtin_prefetch(ahead + line);
    }
    const uint16_t *centroid = book->centroids + id * dimension;
    __m256 squares = _mm256_setzero_ps();
    for (size_t i = 0; i < whole; i += 8) {
      __m256 value = _mm256_add_ps(eight_wide(centroid + i),
                                   eight_weights(residuals + i / 8 * (size_t)bits, bits, low, high));
      _mm256_storeu_ps(out + i, value);
      squares = _mm256_fmadd_ps(value, value, squares);
    }
    float parts[8], total = 0;
    _mm256_storeu_ps(parts, squares);
    for (int lane = 0; lane < 8; lane++) total += parts[lane];
    for (size_t i = whole; i < dimension; i++) {
      out[i] = widened(centroid[i]) + book->weights[bucket(residuals, i, bits)];
      total += out[i] * out[i];
    }
    if (!book->normalizes || !(total > 0)) continue;
    float scale = 1 / sqrtf(total);
    for (size_t i = 0; i < whole; i += 8)
      _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_loadu_ps(out + i), _mm256_set1_ps(scale)));
    for (size_t i = whole; i < dimension; i++) out[i] *= scale;
  }
  return true;
}

AVX2 static bool avx2_decode(float *out, const uint8_t *ids, const uint8_t *residuals, size_t rows,
                             const retort_term_book *book) {
  switch (book->bits) {
    case 1: return decode_bits(out, ids, residuals, rows, book, 1);
    case 2: return decode_bits(out, ids, residuals, rows, book, 2);
    default: return decode_bits(out, ids, residuals, rows, book, 4);
  }
}

__attribute__((target("avx2,f16c"))) static void avx2_from_half(float *out, const uint16_t *values,
                                                                size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(values + i))));
  for (; i < count; i++) out[i] = _cvtsh_ss(values[i]);
}
#endif

bool retort_decode_terms(retort_level level, float *out, const uint8_t *ids,
                         const uint8_t *residuals, size_t rows, const retort_term_book *book) {
#if defined(__x86_64__)
  if (level >= RETORT_LEVEL_AVX2 && retort_level_available(RETORT_LEVEL_AVX2))
    return avx2_decode(out, ids, residuals, rows, book);
#endif
  (void)level;
  return scalar_decode(out, ids, residuals, rows, book);
}

// MARK: Codes of 7 bits

bool retort_can_code_terms(size_t dimension, int bits) {
  return dimension * (size_t)bits % 128 == 0;
}

static inline float code_scale(const retort_code_book *book, int32_t squares) {
  if (!book->normalizes) return book->step;
  return squares > 0 ? 1 / sqrtf((float)squares) : 0;
}

static bool scalar_code(uint8_t *codes, float *scales, const uint8_t *ids,
                        const uint8_t *residuals, size_t rows, const retort_code_book *book) {
  size_t bytes = retort_term_bytes(book->dimension, book->bits);
  size_t fields = 8 / (size_t)book->bits;
  for (size_t r = 0; r < rows; r++, codes += book->dimension, residuals += bytes) {
    size_t id = number(ids + r * (size_t)book->id_bytes, book->id_bytes);
    if (id >= book->count) return false;
    const int8_t *centroid = book->centroids + id * book->dimension;
    int32_t squares = 0;
    for (size_t f = 0; f < fields; f++) {
      for (size_t i = 0; i < bytes; i++) {
        int value = centroid[f * bytes + i] +
                    book->weights[bucket(residuals, fields * i + f, book->bits)];
        codes[f * bytes + i] = (uint8_t)(value + 64);
        squares += value * value;
      }
    }
    scales[r] = code_scale(book, squares);
  }
  return true;
}

#if defined(__x86_64__)
AVX2_INLINE bool code_bits(uint8_t *codes, float *scales, const uint8_t *ids,
                           const uint8_t *residuals, size_t rows, const retort_code_book *book,
                           const int bits) {
  const size_t dimension = book->dimension, bytes = dimension * (size_t)bits / 8;
  int8_t ordered[16];
  for (unsigned i = 0; i < 16; i++) {
    uint8_t lying = (uint8_t)((i & ((1u << bits) - 1)) << (8 - bits));
    ordered[i] = book->weights[bucket(&lying, 0, bits)];
  }
  const __m128i table = _mm_loadu_si128((const __m128i *)ordered);
  const __m256i tables = _mm256_broadcastsi128_si256(table);
  const char mask = (char)((1 << bits) - 1);
  for (size_t r = 0; r < rows; r++, codes += dimension, residuals += bytes) {
    size_t id = number(ids + r * (size_t)book->id_bytes, book->id_bytes);
    if (id >= book->count) return false;
    if (r + 8 < rows) {
      size_t next = number(ids + (r + 8) * (size_t)book->id_bytes, book->id_bytes);
      const int8_t *ahead = book->centroids + (next < book->count ? next : 0) * dimension;
      for (size_t line = 0; line < dimension; line += 64) __builtin_prefetch(ahead + line);
    }
    const int8_t *centroid = book->centroids + id * dimension;
    __m256i squares = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 32 <= bytes; i += 32) {
      __m256i packed = _mm256_loadu_si256((const __m256i *)(residuals + i));
      // A pair of squares is at most 2 · 63²: four fit 16 bits, and 8 fields are summed in two parts.
      __m256i pairs[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      UNROLL for (int f = 0; f < 8 / bits; f++) {
        __m256i index =
            _mm256_and_si256(_mm256_srli_epi16(packed, 8 - bits * (f + 1)), _mm256_set1_epi8(mask));
        size_t at = (size_t)f * bytes + i;
        __m256i value = _mm256_add_epi8(_mm256_loadu_si256((const __m256i *)(centroid + at)),
                                        _mm256_shuffle_epi8(tables, index));
        _mm256_storeu_si256((__m256i *)(codes + at),
                            _mm256_add_epi8(value, _mm256_set1_epi8(64)));
        __m256i size = _mm256_abs_epi8(value);
        pairs[f / 4] = _mm256_add_epi16(pairs[f / 4], _mm256_maddubs_epi16(size, size));
      }
      UNROLL for (int part = 0; part < 2; part++)
        squares = _mm256_add_epi32(squares,
                                   _mm256_madd_epi16(pairs[part], _mm256_set1_epi16(1)));
    }
    for (; i < bytes; i += 16) {
      __m128i packed = _mm_loadu_si128((const __m128i *)(residuals + i));
      UNROLL for (int f = 0; f < 8 / bits; f++) {
        __m128i index =
            _mm_and_si128(_mm_srli_epi16(packed, 8 - bits * (f + 1)), _mm_set1_epi8(mask));
        size_t at = (size_t)f * bytes + i;
        __m128i value = _mm_add_epi8(_mm_loadu_si128((const __m128i *)(centroid + at)),
                                     _mm_shuffle_epi8(table, index));
        _mm_storeu_si128((__m128i *)(codes + at), _mm_add_epi8(value, _mm_set1_epi8(64)));
        __m256i wide = _mm256_cvtepi8_epi16(value);
        squares = _mm256_add_epi32(squares, _mm256_madd_epi16(wide, wide));
      }
    }
    __m128i sum =
        _mm_add_epi32(_mm256_castsi256_si128(squares), _mm256_extracti128_si256(squares, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    scales[r] = (float)_mm_cvtsi128_si32(sum);
  }
  size_t r = 0;
  for (; book->normalizes && r + 8 <= rows; r += 8) {
    __m256 all = _mm256_loadu_ps(scales + r);
    __m256 inverse = _mm256_div_ps(_mm256_set1_ps(1), _mm256_sqrt_ps(all));
    __m256 some = _mm256_cmp_ps(all, _mm256_setzero_ps(), _CMP_GT_OQ);
    _mm256_storeu_ps(scales + r, _mm256_and_ps(inverse, some));
  }
  for (; r < rows; r++) scales[r] = code_scale(book, (int32_t)scales[r]);
  return true;
}

AVX2 static bool avx2_code(uint8_t *codes, float *scales, const uint8_t *ids,
                           const uint8_t *residuals, size_t rows, const retort_code_book *book) {
  switch (book->bits) {
    case 1: return code_bits(codes, scales, ids, residuals, rows, book, 1);
    case 2: return code_bits(codes, scales, ids, residuals, rows, book, 2);
    default: return code_bits(codes, scales, ids, residuals, rows, book, 4);
  }
}
#endif

bool retort_code_terms(retort_level level, uint8_t *codes, float *scales, const uint8_t *ids,
                       const uint8_t *residuals, size_t rows, const retort_code_book *book) {
#if defined(__x86_64__)
  if (level >= RETORT_LEVEL_AVX2 && retort_level_available(RETORT_LEVEL_AVX2))
    return avx2_code(codes, scales, ids, residuals, rows, book);
#endif
  (void)level;
  return scalar_code(codes, scales, ids, residuals, rows, book);
}

// MARK: Scores over centroids

void retort_widen_bf16(float *out, const uint16_t *values, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = widened(values[i]);
}

void retort_top_cells(const float *table, size_t stride, size_t tokens, size_t first, size_t count,
                      float *highest, size_t cells, float *values, uint32_t *numbers) {
  for (size_t c = first; c < first + count; c++) {
    const float *row = table + c * stride;
    float top = -INFINITY;
    for (size_t t = 0; t < tokens; t++) {
      top = row[t] > top ? row[t] : top;
      float *own = values + t * cells;
      if (!(row[t] > own[cells - 1])) continue;
      size_t place = cells - 1;
      for (; place > 0 && row[t] > own[place - 1]; place--) {
        own[place] = own[place - 1];
        numbers[t * cells + place] = numbers[t * cells + place - 1];
      }
      own[place] = row[t];
      numbers[t * cells + place] = (uint32_t)c;
    }
    highest[c] = top;
  }
}

#if defined(__x86_64__)
// The largest products with up to 32 tokens from column `first` on; the number of centroids that
// take part, or -1 where one is none.
AVX2 static long avx2_largest(const float *table, size_t stride, size_t first,
                              const float *highest, size_t centroids, float threshold,
                              const uint8_t *ids, size_t count, int id_bytes, float *best) {
  const size_t parts = (stride - first) / 8 < 4 ? (stride - first) / 8 : 4;
  __m256 top[4];
  for (int p = 0; p < 4; p++) top[p] = _mm256_set1_ps(-INFINITY);
  long kept = 0;
  for (size_t j = 0; j < count; j++) {
    size_t id = number(ids + j * (size_t)id_bytes, id_bytes);
    if (id >= centroids) return -1;
    if (!(highest[id] >= threshold)) continue;
    kept++;
    const float *row = table + id * stride + first;
    if (parts == 4) {
      for (size_t p = 0; p < 4; p++) top[p] = _mm256_max_ps(_mm256_loadu_ps(row + p * 8), top[p]);
    } else {
      for (size_t p = 0; p < parts; p++)
        top[p] = _mm256_max_ps(_mm256_loadu_ps(row + p * 8), top[p]);
    }
  }
  for (size_t p = 0; p < parts; p++) _mm256_storeu_ps(best + first + p * 8, top[p]);
  return kept;
}
#endif

static long scalar_largest(const float *table, size_t stride, size_t first, const float *highest,
                           size_t centroids, float threshold, const uint8_t *ids, size_t count,
                           int id_bytes, float *best) {
  size_t width = stride - first < 32 ? stride - first : 32;
  for (size_t t = 0; t < width; t++) best[first + t] = -INFINITY;
  long kept = 0;
  for (size_t j = 0; j < count; j++) {
    size_t id = number(ids + j * (size_t)id_bytes, id_bytes);
    if (id >= centroids) return -1;
    if (!(highest[id] >= threshold)) continue;
    kept++;
    const float *row = table + id * stride + first;
    for (size_t t = 0; t < width; t++)
      best[first + t] = row[t] > best[first + t] ? row[t] : best[first + t];
  }
  return kept;
}

float retort_approximate(retort_level level, const float *table, size_t stride, size_t tokens,
                         const float *highest, size_t centroids, float threshold,
                         const uint8_t *ids, size_t count, int id_bytes, float *best) {
  for (size_t first = 0; first < tokens; first += 32) {
    long kept;
#if defined(__x86_64__)
    if (level >= RETORT_LEVEL_AVX2 && retort_level_available(RETORT_LEVEL_AVX2)) {
      kept = avx2_largest(table, stride, first, highest, centroids, threshold, ids, count,
                          id_bytes, best);
    } else
#endif
      kept = scalar_largest(table, stride, first, highest, centroids, threshold, ids, count,
                            id_bytes, best);
    if (kept < 0) return NAN;
    if (kept == 0) return -INFINITY;
  }
  (void)level;
  float sum = 0;
  for (size_t t = 0; t < tokens; t++) sum += best[t];
  return sum;
}

// MARK: Writing

void retort_encode_residual(uint8_t *residuals, const float *values, const uint16_t *centroid,
                            size_t dimension, const float *cutoffs, int bits) {
  memset(residuals, 0, retort_term_bytes(dimension, bits));
  const int count = (1 << bits) - 1;
  for (size_t i = 0; i < dimension; i++) {
    float residual = values[i] - widened(centroid[i]);
    unsigned code = 0;
    for (int c = 0; c < count; c++) code += residual > cutoffs[c];
    for (int b = 0; b < bits; b++) {
      size_t at = i * (size_t)bits + (size_t)b;
      residuals[at / 8] |= (uint8_t)((code >> b & 1) << (7 - at % 8));
    }
  }
}

static uint16_t half(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return (uint16_t)(sign | 0x7E00);
  if (magnitude >= 0x477FF000) return (uint16_t)(sign | 0x7C00);
  if (magnitude < 0x38800000) {
    // Below the smallest normal number: a count of 2^-24.
    float absolute;
    memcpy(&absolute, &magnitude, sizeof absolute);
    return (uint16_t)(sign | (uint32_t)rintf(absolute * 16777216.0f));
  }
  uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
  return (uint16_t)(sign | (rounded - 0x38000000) >> 13);
}

void retort_to_half(uint16_t *out, const float *values, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = half(values[i]);
}

static float single(uint16_t value) {
  uint32_t sign = (uint32_t)(value & 0x8000) << 16, exponent = value >> 10 & 31;
  uint32_t fraction = value & 1023;
  float result;
  if (exponent == 0) {
    result = (float)fraction * 5.9604645e-8f;
    return sign ? -result : result;
  }
  uint32_t bits = exponent == 31 ? sign | 0x7F800000 | fraction << 13
                                 : sign | (exponent + 112) << 23 | fraction << 13;
  memcpy(&result, &bits, sizeof result);
  return result;
}

void retort_from_half(retort_level level, float *out, const uint16_t *values, size_t count) {
#if defined(__x86_64__)
  if (level >= RETORT_LEVEL_AVX2 && retort_level_available(RETORT_LEVEL_AVX2) &&
      __builtin_cpu_supports("f16c"))
    return avx2_from_half(out, values, count);
#endif
  (void)level;
  for (size_t i = 0; i < count; i++) out[i] = single(values[i]);
}

void retort_from_codes(float *out, const uint8_t *codes, float scale, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = scale * (float)((int)codes[i] - 128);
}

float retort_to_codes(uint8_t *codes, const float *values, size_t count) {
  float largest = 0, odd = 0;
  for (size_t i = 0; i < count; i++) {
    float magnitude = fabsf(values[i]);
    if (magnitude > largest) largest = magnitude;
    odd += values[i] * 0;
  }
  float scale = largest / 127;
  float inverse = scale > 0 ? 1 / scale : 0;
  for (size_t i = 0; i < count; i++) {
    float code = rintf(values[i] * inverse) + 128;
    codes[i] = code >= 1 && code <= 255 ? (uint8_t)code : 128;
  }
  return scale + odd;
}
