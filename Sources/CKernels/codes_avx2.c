#include "codes_score.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Unsigned code bytes times signed weights, as eight 32-bit sums. The 16-bit steps cannot
// saturate: two products are at most 2 x 127 x 127, four of 4 bits 4 x 15 x 127.
#define CODES_AVX2 __attribute__((target("avx2"))) static inline

CODES_AVX2 __m256i codes_weights(const int8_t *weight) {
  return _mm256_loadu_si256((const __m256i *)weight);
}

CODES_AVX2 __m256i codes_widen(__m256i pairs) {
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

CODES_AVX2 __m256i codes_load(const uint8_t *bytes) {
  return _mm256_loadu_si256((const __m256i *)bytes);
}

// The sums of four accumulators, one a lane.
CODES_AVX2 __m128i codes_sums(const __m256i sums[4]) {
  __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]),
                                    _mm256_hadd_epi32(sums[2], sums[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}

// Four records at once: weights are loaded, sums added up and scores combined for all of them
// together, and their memory is waited for together.
CODES_AVX2 __m128 codes_score4(const retort_codes_query *query, const uint8_t *const records[4]) {
  const __m256i low4 = _mm256_set1_epi8(15), low2 = _mm256_set1_epi8(3);
  const int8_t *weight = query->weights;
  size_t at = RETORT_CODES_HEADER;
  __m128i s7 = _mm_setzero_si128(), s4 = s7, s2 = s7;
  if (query->blocks7) {
    __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                       _mm256_setzero_si256()};
    for (uint32_t b = 0; b < query->blocks7; b++, at += 32, weight += 32) {
      const __m256i w = codes_weights(weight);
      for (int r = 0; r < 4; r++) {
        __m256i products = _mm256_maddubs_epi16(codes_load(records[r] + at), w);
        sums[r] = _mm256_add_epi32(sums[r], codes_widen(products));
      }
    }
    s7 = codes_sums(sums);
  }
  if (query->blocks4) {
    __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                       _mm256_setzero_si256()};
    for (uint32_t b = 0; b < query->blocks4; b++, at += 32, weight += 64) {
      const __m256i w0 = codes_weights(weight), w1 = codes_weights(weight + 32);
      for (int r = 0; r < 4; r++) {
        __m256i c = codes_load(records[r] + at);
        __m256i low = _mm256_maddubs_epi16(_mm256_and_si256(c, low4), w0);
        __m256i high =
            _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(c, 4), low4), w1);
        sums[r] = _mm256_add_epi32(sums[r], codes_widen(_mm256_add_epi16(low, high)));
      }
    }
    s4 = codes_sums(sums);
  }
  if (query->blocks2) {
    __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                       _mm256_setzero_si256()};
    for (uint32_t b = 0; b < query->blocks2; b++, at += 32, weight += 128) {
      const __m256i w0 = codes_weights(weight), w1 = codes_weights(weight + 32);
      const __m256i w2 = codes_weights(weight + 64), w3 = codes_weights(weight + 96);
      for (int r = 0; r < 4; r++) {
        __m256i c = codes_load(records[r] + at);
        __m256i p0 = _mm256_maddubs_epi16(_mm256_and_si256(c, low2), w0);
        __m256i p1 = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(c, 2), low2), w1);
        __m256i p2 = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(c, 4), low2), w2);
        __m256i p3 = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(c, 6), low2), w3);
        sums[r] = _mm256_add_epi32(
            sums[r],
            codes_widen(_mm256_add_epi16(_mm256_add_epi16(p0, p1), _mm256_add_epi16(p2, p3))));
      }
    }
    s2 = codes_sums(sums);
  }
  return codes_combine4(query, records, s7, s4, s2);
}

__attribute__((target("avx2"))) void retort_codes_score_avx2(const retort_codes_query *query,
                                                             const uint8_t *base,
                                                             const uint32_t *ids, size_t count,
                                                             float *scores) {
  CODES_BY_FOURS(codes_score4)
}

CODES_AVX2 __m256i codes_products16(const int16_t *a, const int16_t *b) {
  return _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)a),
                           _mm256_loadu_si256((const __m256i *)b));
}

__attribute__((target("avx2"))) void retort_codes_project_avx2(const int16_t *rows, size_t count,
                                                               const int16_t *vector,
                                                               size_t length, int32_t *sums) {
  for (size_t r = 0; r < count; r++, rows += length) {
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= length; i += 32) {
      s0 = _mm256_add_epi32(s0, codes_products16(rows + i, vector + i));
      s1 = _mm256_add_epi32(s1, codes_products16(rows + i + 16, vector + i + 16));
    }
    if (i < length) s0 = _mm256_add_epi32(s0, codes_products16(rows + i, vector + i));
    s0 = _mm256_add_epi32(s0, s1);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(s0), _mm256_extracti128_si256(s0, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    sums[r] = _mm_cvtsi128_si32(sum);
  }
}
#endif
