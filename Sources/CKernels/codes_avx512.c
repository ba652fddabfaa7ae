#include "codes_score.h"

#if defined(__x86_64__)
#include <immintrin.h>

// As for AVX2, with VNNI, which adds four products to a 32-bit sum at once. A CPU without it runs the
// kernel for AVX2.
#define CODES_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))) static inline

CODES_VNNI __m256i codes_add(__m256i sums, __m256i code, __m256i weight) {
  return _mm256_dpbusd_epi32(sums, code, weight);
}

CODES_VNNI __m256i codes_load(const void *bytes) {
  return _mm256_loadu_si256((const __m256i *)bytes);
}

// The sums of four accumulators, one a lane.
CODES_VNNI __m128i codes_sums(const __m256i sums[4]) {
  __m256i a = _mm256_add_epi32(_mm256_unpacklo_epi32(sums[0], sums[1]),
                               _mm256_unpackhi_epi32(sums[0], sums[1]));
  __m256i b = _mm256_add_epi32(_mm256_unpacklo_epi32(sums[2], sums[3]),
                               _mm256_unpackhi_epi32(sums[2], sums[3]));
  __m256i four = _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
  return _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
}

CODES_VNNI __m128 codes_score4(const retort_codes_query *query, const uint8_t *const records[4]) {
  const __m256i low4 = _mm256_set1_epi8(15), low2 = _mm256_set1_epi8(3);
  const __m256i none = _mm256_setzero_si256();
  const int8_t *weight = query->weights;
  size_t at = RETORT_CODES_HEADER;
  __m256i wide[4] = {none, none, none, none}, middle[4] = {none, none, none, none};
  __m256i narrow[4] = {none, none, none, none};
  for (uint32_t b = 0; b < query->blocks7; b++, at += 32, weight += 32) {
    const __m256i w = codes_load(weight);
    for (int r = 0; r < 4; r++) wide[r] = codes_add(wide[r], codes_load(records[r] + at), w);
  }
  for (uint32_t b = 0; b < query->blocks4; b++, at += 32, weight += 64) {
    const __m256i w0 = codes_load(weight), w1 = codes_load(weight + 32);
    for (int r = 0; r < 4; r++) {
      __m256i c = codes_load(records[r] + at);
      __m256i sums = codes_add(middle[r], _mm256_and_si256(c, low4), w0);
      middle[r] = codes_add(sums, _mm256_and_si256(_mm256_srli_epi16(c, 4), low4), w1);
    }
  }
  for (uint32_t b = 0; b < query->blocks2; b++, at += 32, weight += 128) {
    const __m256i w0 = codes_load(weight), w1 = codes_load(weight + 32);
    const __m256i w2 = codes_load(weight + 64), w3 = codes_load(weight + 96);
    for (int r = 0; r < 4; r++) {
      __m256i c = codes_load(records[r] + at);
      __m256i sums = codes_add(narrow[r], _mm256_and_si256(c, low2), w0);
      sums = codes_add(sums, _mm256_and_si256(_mm256_srli_epi16(c, 2), low2), w1);
      sums = codes_add(sums, _mm256_and_si256(_mm256_srli_epi16(c, 4), low2), w2);
      narrow[r] = codes_add(sums, _mm256_and_si256(_mm256_srli_epi16(c, 6), low2), w3);
    }
  }
  return codes_combine4(query, records, codes_sums(wide), codes_sums(middle),
                        codes_sums(narrow));
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))) void
retort_codes_score_avx512(const retort_codes_query *query, const uint8_t *base,
                          const uint32_t *ids, size_t count, float *scores) {
  CODES_BY_FOURS(codes_score4)
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) void retort_codes_project_avx512(
    const int16_t *rows, size_t count, const int16_t *vector, size_t length, int32_t *sums) {
  for (size_t r = 0; r < count; r++, rows += length) {
    __m512i sum = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 32 <= length; i += 32) {
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_loadu_si512(rows + i),
                                                    _mm512_loadu_si512(vector + i)));
    }
    if (i < length) {
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maskz_loadu_epi16(0xFFFF, rows + i),
                                                    _mm512_maskz_loadu_epi16(0xFFFF, vector + i)));
    }
    sums[r] = _mm512_reduce_add_epi32(sum);
  }
}
#endif
