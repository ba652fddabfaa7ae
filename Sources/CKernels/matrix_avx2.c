#include "retort_matrix.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "gelu_terms.h"
#include "matrix_levels.h"
#include "matrix_scalar.h"

#define LANES 8
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(x) avx2_##x
#define ROWS 6
#define PANELS 1
#define TARGET_INT8 TARGET
// Pairs of products fit 16 bits because retort_pack_int8 sees to it (`limits_pairs`).
#define DOT4(sum, codes, weights)                                                              \
  (sum + (avx2_integers)_mm256_madd_epi16(                                                     \
             _mm256_maddubs_epi16((__m256i)(codes), (__m256i)(weights)), _mm256_set1_epi16(1)))
#define DOT4_OFFSET 0
// A pair of products of a code up to 127 is at most 127 · 128: two such still fit 16 bits.
#define DOT8(sum, codes, weights, more_codes, more_weights)                                    \
  (sum + (avx2_integers)_mm256_madd_epi16(                                                     \
             _mm256_add_epi16(_mm256_maddubs_epi16((__m256i)(codes), (__m256i)(weights)),      \
                              _mm256_maddubs_epi16((__m256i)(more_codes),                      \
                                                   (__m256i)(more_weights))),                  \
             _mm256_set1_epi16(1)))
// Rounds four vectors and narrows them to codes with saturation.
#define STORE_CODES(to, a, b, c, d)                                                            \
  _mm256_storeu_si256(                                                                         \
      (__m256i *)(to),                                                                         \
      _mm256_permutevar8x32_epi32(                                                             \
          _mm256_packus_epi16(                                                                 \
              _mm256_packus_epi32(_mm256_cvtps_epi32((__m256)(a)), _mm256_cvtps_epi32((__m256)(b))), \
              _mm256_packus_epi32(_mm256_cvtps_epi32((__m256)(c)), _mm256_cvtps_epi32((__m256)(d)))), \
          _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)))
#include "matrix_lanes.h"

const matrix_kernels retort_matrix_avx2 = {
    .quantize_rows = avx2_quantize_rows,
    .product_int8 = avx2_product_int8,
    .product_f32 = avx2_product_f32,
    .add_f32 = avx2_add_f32,
    .attention = avx2_attention,
    .max_products = avx2_max_products,
    .max_codes = avx2_max_codes,
    .max_small_codes = avx2_max_small_codes,
    .int8_name = "maddubs",
};
#endif
