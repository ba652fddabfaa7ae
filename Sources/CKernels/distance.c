#include "retort_distance.h"

float retort_dot_f32_scalar(const float *a, const float *b, size_t dimension) {
  float sum = 0;
  for (size_t i = 0; i < dimension; i++) sum += a[i] * b[i];
  return sum;
}

retort_dot_f32_function retort_dot_f32_at(retort_level level) {
  if (!retort_level_available(level)) return NULL;
  switch (level) {
#if defined(__x86_64__)
    case RETORT_LEVEL_AVX2: return retort_dot_f32_avx2;
    case RETORT_LEVEL_AVX512: return retort_dot_f32_avx512;
#elif defined(__aarch64__)
    case RETORT_LEVEL_NEON: return retort_dot_f32_neon;
#endif
    default: return retort_dot_f32_scalar;
  }
}

static retort_dot_f32_function dot_in_use(void) {
  static retort_dot_f32_function function;  // racing writers store the same value
  retort_dot_f32_function known = __atomic_load_n(&function, __ATOMIC_RELAXED);
  if (!known) {
    known = retort_dot_f32_at(retort_level_in_use());
    __atomic_store_n(&function, known, __ATOMIC_RELAXED);
  }
  return known;
}

float retort_dot_f32(const float *a, const float *b, size_t dimension) {
  return dot_in_use()(a, b, dimension);
}

// One prefetch a cache line; beyond a few lines the hardware prefetcher follows by itself.
static inline void prefetch_vector(const float *vector, size_t dimension) {
  size_t bytes = dimension * sizeof(float);
  if (bytes > 1024) bytes = 1024;
  for (size_t offset = 0; offset < bytes; offset += 64) {
    __builtin_prefetch((const char *)vector + offset, 0, 3);
  }
}

void retort_dot_many_f32(const float *query, const float *base, size_t dimension,
                         const uint32_t *ids, size_t count, float *scores) {
  retort_dot_f32_function dot = dot_in_use();
  const size_t ahead = 3;
  for (size_t i = 0; i < count && i < ahead; i++) {
    prefetch_vector(base + (size_t)ids[i] * dimension, dimension);
  }
  for (size_t i = 0; i < count; i++) {
    if (i + ahead < count) prefetch_vector(base + (size_t)ids[i + ahead] * dimension, dimension);
    scores[i] = dot(query, base + (size_t)ids[i] * dimension, dimension);
  }
}
