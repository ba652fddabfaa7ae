// What the kernels of compact codes share: places of records and the last step from sums to a score.
#ifndef RETORT_CODES_SCORE_H
#define RETORT_CODES_SCORE_H

#include <string.h>

#include "retort_codes.h"

static inline const uint8_t *codes_record(const retort_codes_query *query, const uint8_t *base,
                                          uint32_t id) {
  return base + (size_t)id * query->stride;
}

static inline float codes_combine(const retort_codes_query *query, const uint8_t *record,
                                  int32_t sum7, int32_t sum4, int32_t sum2) {
#pragma STDC FP_CONTRACT OFF
  float scale, bias;
  memcpy(&scale, record, sizeof scale);
  float total = query->factor7 * (float)sum7;
  total = total + query->factor4 * (float)sum4;
  total = total + query->factor2 * (float)sum2;
  total = total + query->offset;
  total = total * scale;
  if (!query->bias_at) return total;
  memcpy(&bias, record + query->bias_at, sizeof bias);
  return total + bias;
}

#if defined(__x86_64__)
#include <immintrin.h>

// The floats at `offset` of four records.
static inline __m128 codes_floats(const uint8_t *const records[4], uint32_t offset) {
  float values[4];
  for (int r = 0; r < 4; r++) memcpy(values + r, records[r] + offset, sizeof(float));
  return _mm_loadu_ps(values);
}

// The steps of codes_combine for four records, a lane each.
static inline __m128 codes_combine4(const retort_codes_query *query,
                                    const uint8_t *const records[4], __m128i sums7,
                                    __m128i sums4, __m128i sums2) {
#pragma STDC FP_CONTRACT OFF
  __m128 total = _mm_mul_ps(_mm_set1_ps(query->factor7), _mm_cvtepi32_ps(sums7));
  total = _mm_add_ps(total, _mm_mul_ps(_mm_set1_ps(query->factor4), _mm_cvtepi32_ps(sums4)));
  total = _mm_add_ps(total, _mm_mul_ps(_mm_set1_ps(query->factor2), _mm_cvtepi32_ps(sums2)));
  total = _mm_add_ps(total, _mm_set1_ps(query->offset));
  total = _mm_mul_ps(total, codes_floats(records, 0));
  if (!query->bias_at) return total;
  return _mm_add_ps(total, codes_floats(records, query->bias_at));
}

// The body of a kernel whose `score4` scores four records: a macro, because what is compiled for an
// instruction set is inlined only into functions of that set.
#define CODES_BY_FOURS(score4)                                                              \
  size_t i = 0;                                                                             \
  for (; i + 4 <= count; i += 4) {                                                          \
    const uint8_t *records[4];                                                              \
    for (size_t r = 0; r < 4; r++) records[r] = codes_record(query, base, ids[i + r]);      \
    _mm_storeu_ps(scores + i, score4(query, records));                                      \
  }                                                                                         \
  if (i == count) return;                                                                   \
  /* The last one stands in for those that are missing. */                                  \
  const uint8_t *records[4];                                                                \
  for (size_t r = 0; r < 4; r++)                                                            \
    records[r] = codes_record(query, base, ids[i + r < count ? i + r : count - 1]);         \
  float last[4];                                                                            \
  _mm_storeu_ps(last, score4(query, records));                                              \
  memcpy(scores + i, last, (count - i) * sizeof *last);
#endif

#endif
