#include "codes_score.h"

#if defined(__aarch64__)
#include <arm_neon.h>

// Codes are below 128, so that they count as signed; products of 16 components go to 16 bits in two
// halves (at most 127 x 127 each) and are added in pairs to 32 bits.
static inline int32x4_t codes_add(int32x4_t sum, uint8x16_t code, const int8_t *weight) {
  int8x16_t c = vreinterpretq_s8_u8(code), w = vld1q_s8(weight);
  sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(c), vget_low_s8(w)));
  return vpadalq_s16(sum, vmull_high_s8(c, w));
}

void retort_codes_score_neon(const retort_codes_query *query, const uint8_t *base,
                             const uint32_t *ids, size_t count, float *scores) {
  const uint8x16_t low4 = vdupq_n_u8(15), low2 = vdupq_n_u8(3);
  for (size_t i = 0; i < count; i++) {
    const uint8_t *record = codes_record(query, base, ids[i]);
    const uint8_t *code = record + RETORT_CODES_HEADER;
    const int8_t *weight = query->weights;
    int32x4_t s7 = vdupq_n_s32(0), s4 = s7, s2 = s7;
    for (uint32_t b = 0; b < query->blocks7; b++, code += 32, weight += 32) {
      s7 = codes_add(s7, vld1q_u8(code), weight);
      s7 = codes_add(s7, vld1q_u8(code + 16), weight + 16);
    }
    for (uint32_t b = 0; b < query->blocks4; b++, code += 32, weight += 64) {
      for (int half = 0; half < 32; half += 16) {
        uint8x16_t c = vld1q_u8(code + half);
        s4 = codes_add(s4, vandq_u8(c, low4), weight + half);
        s4 = codes_add(s4, vshrq_n_u8(c, 4), weight + 32 + half);
      }
    }
    for (uint32_t b = 0; b < query->blocks2; b++, code += 32, weight += 128) {
      for (int half = 0; half < 32; half += 16) {
        uint8x16_t c = vld1q_u8(code + half);
        s2 = codes_add(s2, vandq_u8(c, low2), weight + half);
        s2 = codes_add(s2, vandq_u8(vshrq_n_u8(c, 2), low2), weight + 32 + half);
        s2 = codes_add(s2, vandq_u8(vshrq_n_u8(c, 4), low2), weight + 64 + half);
        s2 = codes_add(s2, vshrq_n_u8(c, 6), weight + 96 + half);
      }
    }
    scores[i] = codes_combine(query, record, vaddvq_s32(s7), vaddvq_s32(s4), vaddvq_s32(s2));
  }
}

void retort_codes_project_neon(const int16_t *rows, size_t count, const int16_t *vector,
                               size_t length, int32_t *sums) {
  for (size_t r = 0; r < count; r++, rows += length) {
    int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
    for (size_t i = 0; i < length; i += 16) {
      int16x8_t a = vld1q_s16(rows + i), b = vld1q_s16(vector + i);
      int16x8_t c = vld1q_s16(rows + i + 8), d = vld1q_s16(vector + i + 8);
      s0 = vmlal_s16(s0, vget_low_s16(a), vget_low_s16(b));
      s1 = vmlal_high_s16(s1, a, b);
      s0 = vmlal_s16(s0, vget_low_s16(c), vget_low_s16(d));
      s1 = vmlal_high_s16(s1, c, d);
    }
    sums[r] = vaddvq_s32(vaddq_s32(s0, s1));
  }
}
#endif
