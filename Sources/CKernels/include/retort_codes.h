#ifndef RETORT_CODES_H
#define RETORT_CODES_H

#include <stddef.h>
#include <stdint.h>

#include "retort_cpu.h"

// Compact codes of vectors. A record is a float, then blocks of 32 bytes, first those of 7 bits a
// component, then of 4, then of 2, and another float where the query says so:
//
//   offset 0  float scale
//          4  blocks7 x 32 bytes: byte j is component j, 0...127
//             blocks4 x 32 bytes: low nibble of byte j is component j, high nibble 32 + j
//             blocks2 x 32 bytes: from the lowest bits up, byte j holds components j, 32 + j,
//                                 64 + j, 96 + j
//             float bias, or nothing, which stands for 0
//
// A query is an int8 weight a component, in the same order, and per width a factor of the integer
// sum. With sums s7, s4, s2 of weight x code the score of a record is
//   (factor7 s7 + factor4 s4 + factor2 s2 + offset) scale + bias.
// Sums are exact integers and the floats are combined in this order without fused operations, so
// every instruction set gives the same bits.
enum { RETORT_CODES_HEADER = 4, RETORT_CODES_BLOCK = 32 };

typedef struct {
  const int8_t *weights;  // blocks7 x 32 + blocks4 x 64 + blocks2 x 128, each in -127...127
  float factor7, factor4, factor2, offset;
  uint32_t blocks7, blocks4, blocks2;
  uint32_t stride;   // bytes a record
  uint32_t bias_at;  // where the bias lies in a record; 0 where there is none
} retort_codes_query;

// Asks for the cache line of an address that will soon be read.
static inline void retort_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }

// Asks for the records ids[0 ..< count] of `base`, which will soon be scored. The earlier the better:
// a walk asks for those of one list while it waits for the next list.
static inline void retort_codes_prefetch(uint32_t stride, const uint8_t *base, const uint32_t *ids,
                                         size_t count) {
  for (size_t i = 0; i < count; i++) {
    const uint8_t *record = base + (size_t)ids[i] * stride;
    for (uint32_t offset = 0; offset < stride; offset += 64) retort_prefetch(record + offset);
    // A record that starts within a cache line ends in one more.
    retort_prefetch(record + stride - 1);
  }
}

// How many of `count` numbers are greater than `value`, in pieces of a baseline vector: for the few
// hundred of a candidate pool less than a search by halves takes, which waits for every step.
static inline size_t retort_count_greater(const float *numbers, size_t count, float value) {
  typedef float lanes __attribute__((vector_size(16), aligned(4)));
  typedef int32_t marks __attribute__((vector_size(16)));
  const lanes limit = {value, value, value, value};
  marks found = {0}, others = {0};
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    found -= *(const lanes *)(numbers + i) > limit;
    others -= *(const lanes *)(numbers + i + 4) > limit;
  }
  found += others;
  size_t total = (size_t)(found[0] + found[1] + found[2] + found[3]);
  for (; i < count; i++) total += numbers[i] > value;
  return total;
}

// scores[i] = score of the record ids[i] of `base`, for i in 0 ..< count.
void retort_codes_score(const retort_codes_query *query, const uint8_t *base, const uint32_t *ids,
                        size_t count, float *scores);

// sums[r] = rows[r * length ...] . vector for r in 0 ..< count, exact: the caller sees to it that
// length x max|rows| x max|vector| < 2^31. `length` is a multiple of 16.
void retort_codes_project(const int16_t *rows, size_t count, const int16_t *vector, size_t length,
                          int32_t *sums);

// The kernel of one instruction set, or NULL where this CPU or build lacks it (tests, forcing).
typedef void (*retort_codes_score_function)(const retort_codes_query *query, const uint8_t *base,
                                            const uint32_t *ids, size_t count, float *scores);
retort_codes_score_function retort_codes_score_at(retort_level level);

typedef void (*retort_codes_project_function)(const int16_t *rows, size_t count,
                                              const int16_t *vector, size_t length, int32_t *sums);
retort_codes_project_function retort_codes_project_at(retort_level level);

// The kernels themselves; call them only where retort_level_available says so.
void retort_codes_score_scalar(const retort_codes_query *query, const uint8_t *base,
                               const uint32_t *ids, size_t count, float *scores);
void retort_codes_score_avx2(const retort_codes_query *query, const uint8_t *base,
                             const uint32_t *ids, size_t count, float *scores);
// Needs VNNI, too.
void retort_codes_score_avx512(const retort_codes_query *query, const uint8_t *base,
                               const uint32_t *ids, size_t count, float *scores);
void retort_codes_score_neon(const retort_codes_query *query, const uint8_t *base,
                             const uint32_t *ids, size_t count, float *scores);
void retort_codes_project_scalar(const int16_t *rows, size_t count, const int16_t *vector,
                                 size_t length, int32_t *sums);
void retort_codes_project_avx2(const int16_t *rows, size_t count, const int16_t *vector,
                               size_t length, int32_t *sums);
void retort_codes_project_avx512(const int16_t *rows, size_t count, const int16_t *vector,
                                 size_t length, int32_t *sums);
void retort_codes_project_neon(const int16_t *rows, size_t count, const int16_t *vector,
                               size_t length, int32_t *sums);

#endif
