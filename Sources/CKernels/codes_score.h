// What the kernels of compact codes share: prefetching and the last step from sums to a score.
#ifndef RETORT_CODES_SCORE_H
#define RETORT_CODES_SCORE_H

#include <string.h>

#include "retort_codes.h"

enum { CODES_AHEAD = 16 };

static inline void codes_prefetch(const uint8_t *record, uint32_t stride) {
  for (uint32_t offset = 0; offset < stride; offset += 64) {
    __builtin_prefetch(record + offset, 0, 3);
  }
  // A record that starts within a cache line ends in one more.
  __builtin_prefetch(record + stride - 1, 0, 3);
}

static inline const uint8_t *codes_record(const retort_codes_query *query, const uint8_t *base,
                                          uint32_t id) {
  return base + (size_t)id * query->stride;
}

// Asks memory for the first records of a list.
static inline void codes_begin(const retort_codes_query *query, const uint8_t *base,
                               const uint32_t *ids, size_t count) {
  for (size_t i = 0; i < count && i < CODES_AHEAD; i++) {
    codes_prefetch(codes_record(query, base, ids[i]), query->stride);
  }
}

// The record of the list's entry `i`; asks memory for one further on.
static inline const uint8_t *codes_next(const retort_codes_query *query, const uint8_t *base,
                                        const uint32_t *ids, size_t count, size_t i) {
  if (i + CODES_AHEAD < count) {
    codes_prefetch(codes_record(query, base, ids[i + CODES_AHEAD]), query->stride);
  }
  return codes_record(query, base, ids[i]);
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

#endif
