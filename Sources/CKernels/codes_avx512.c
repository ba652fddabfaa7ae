#include "codes_score.h"

#if defined(__x86_64__)
#include <immintrin.h>

// As for AVX2, 64 bytes of weights at a time: a 4-bit block fills one register and a 2-bit block
// two. VNNI would save the widening step but is not among what this level promises.
#define CODES_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) static inline

CODES_AVX512 __m512i codes_products(__m512i code, const int8_t *weight) {
  return _mm512_maddubs_epi16(code, _mm512_loadu_si512(weight));
}

CODES_AVX512 __m512i codes_widen(__m512i pairs) {
  return _mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
}

// The block in the lower half, shifted right by `shift` in the upper.
#define CODES_SPREAD(code, shift)                                         \
  _mm512_inserti64x4(_mm512_castsi256_si512(code), _mm256_srli_epi16(code, shift), 1)

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) void retort_codes_score_avx512(
    const retort_codes_query *query, const uint8_t *base, const uint32_t *ids, size_t count,
    float *scores) {
  codes_begin(query, base, ids, count);
  const __m512i low4 = _mm512_set1_epi8(15), low2 = _mm512_set1_epi8(3);
  for (size_t i = 0; i < count; i++) {
    const uint8_t *record = codes_next(query, base, ids, count, i);
    const uint8_t *code = record + RETORT_CODES_HEADER;
    const int8_t *weight = query->weights;
    __m512i s7 = _mm512_setzero_si512(), s4 = s7, s2 = s7;
    uint32_t b = 0;
    for (; b + 2 <= query->blocks7; b += 2, code += 64, weight += 64) {
      s7 = _mm512_add_epi32(s7, codes_widen(codes_products(_mm512_loadu_si512(code), weight)));
    }
    if (b < query->blocks7) {
      const __mmask64 half = 0xFFFFFFFFull;
      __m512i c = _mm512_maskz_loadu_epi8(half, code);
      __m512i w = _mm512_maskz_loadu_epi8(half, weight);
      s7 = _mm512_add_epi32(s7, codes_widen(_mm512_maddubs_epi16(c, w)));
      code += 32;
      weight += 32;
    }
    for (b = 0; b < query->blocks4; b++, code += 32, weight += 64) {
      __m256i c = _mm256_loadu_si256((const __m256i *)code);
      __m512i both = _mm512_and_si512(CODES_SPREAD(c, 4), low4);
      s4 = _mm512_add_epi32(s4, codes_widen(codes_products(both, weight)));
    }
    for (b = 0; b < query->blocks2; b++, code += 32, weight += 128) {
      __m256i c = _mm256_loadu_si256((const __m256i *)code);
      __m512i spread = CODES_SPREAD(c, 2);
      __m512i first = codes_products(_mm512_and_si512(spread, low2), weight);
      __m512i second =
          codes_products(_mm512_and_si512(_mm512_srli_epi16(spread, 4), low2), weight + 64);
      s2 = _mm512_add_epi32(s2, codes_widen(_mm512_add_epi16(first, second)));
    }
    scores[i] = codes_combine(query, record, _mm512_reduce_add_epi32(s7),
                              _mm512_reduce_add_epi32(s4), _mm512_reduce_add_epi32(s2));
  }
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
