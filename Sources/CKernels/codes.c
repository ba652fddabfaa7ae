#include "codes_score.h"

void retort_codes_score_scalar(const retort_codes_query *query, const uint8_t *base,
                               const uint32_t *ids, size_t count, float *scores) {
  for (size_t i = 0; i < count; i++) {
    const uint8_t *record = codes_record(query, base, ids[i]);
    const uint8_t *code = record + RETORT_CODES_HEADER;
    const int8_t *weight = query->weights;
    int32_t sum7 = 0, sum4 = 0, sum2 = 0;
    for (uint32_t b = 0; b < query->blocks7; b++, code += 32, weight += 32) {
      for (int j = 0; j < 32; j++) sum7 += weight[j] * code[j];
    }
    for (uint32_t b = 0; b < query->blocks4; b++, code += 32, weight += 64) {
      for (int j = 0; j < 32; j++) {
        sum4 += weight[j] * (code[j] & 15) + weight[32 + j] * (code[j] >> 4);
      }
    }
    for (uint32_t b = 0; b < query->blocks2; b++, code += 32, weight += 128) {
      for (int j = 0; j < 32; j++) {
        sum2 += weight[j] * (code[j] & 3) + weight[32 + j] * (code[j] >> 2 & 3) +
                weight[64 + j] * (code[j] >> 4 & 3) + weight[96 + j] * (code[j] >> 6);
      }
    }
    scores[i] = codes_combine(query, record, sum7, sum4, sum2);
  }
}

void retort_codes_project_scalar(const int16_t *rows, size_t count, const int16_t *vector,
                                 size_t length, int32_t *sums) {
  for (size_t r = 0; r < count; r++, rows += length) {
    int32_t sum = 0;
    for (size_t i = 0; i < length; i++) sum += rows[i] * vector[i];
    sums[r] = sum;
  }
}

retort_codes_project_function retort_codes_project_at(retort_level level) {
  if (!retort_level_available(level)) return NULL;
  switch (level) {
#if defined(__x86_64__)
    case RETORT_LEVEL_AVX2: return retort_codes_project_avx2;
    case RETORT_LEVEL_AVX512: return retort_codes_project_avx512;
#elif defined(__aarch64__)
    case RETORT_LEVEL_NEON: return retort_codes_project_neon;
#endif
    default: return retort_codes_project_scalar;
  }
}

void retort_codes_project(const int16_t *rows, size_t count, const int16_t *vector, size_t length,
                          int32_t *sums) {
  retort_codes_project_at(retort_level_in_use())(rows, count, vector, length, sums);
}

retort_codes_score_function retort_codes_score_at(retort_level level) {
  if (!retort_level_available(level)) return NULL;
  switch (level) {
#if defined(__x86_64__)
    case RETORT_LEVEL_AVX2: return retort_codes_score_avx2;
    case RETORT_LEVEL_AVX512:
      return retort_cpu_has_vnni() ? retort_codes_score_avx512 : retort_codes_score_avx2;
#elif defined(__aarch64__)
    case RETORT_LEVEL_NEON: return retort_codes_score_neon;
#endif
    default: return retort_codes_score_scalar;
  }
}

void retort_codes_score(const retort_codes_query *query, const uint8_t *base, const uint32_t *ids,
                        size_t count, float *scores) {
  static retort_codes_score_function function;  // racing writers store the same value
  retort_codes_score_function known = __atomic_load_n(&function, __ATOMIC_RELAXED);
  if (!known) {
    known = retort_codes_score_at(retort_level_in_use());
    __atomic_store_n(&function, known, __ATOMIC_RELAXED);
  }
  known(query, base, ids, count, scores);
}
