#include "retort_matrix.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "gelu_terms.h"
#include "matrix_levels.h"
#include "matrix_scalar.h"

#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define NAME(x) avx512_##x
#define ROWS 8
#define PANELS 3
#define PREFETCHES
#define TARGET_INT8 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define DOT4(sum, codes, weights) \
  (avx512_integers)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(codes), (__m512i)(weights))
#define DOT4_OFFSET 0
#define TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define DOT2(sum, x, weights) \
  (avx512_vector)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(x), (__m512bh)(weights))
// Rounds four vectors and narrows them to codes with saturation. What narrows takes a quarter of each
// vector in turn, which is put right at the end.
#define ROUND(v) _mm512_cvtps_epi32((__m512)(v))
#define STORE_CODES(to, a, b, c, d)                                                               \
  _mm512_storeu_si512(                                                                            \
      to, _mm512_permutexvar_epi32(                                                               \
              _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),            \
              _mm512_packus_epi16(_mm512_packs_epi32(ROUND(a), ROUND(b)),                         \
                                  _mm512_packs_epi32(ROUND(c), ROUND(d)))))
#include "matrix_lanes.h"

static TARGET_BF16 size_t avx512_round_row(uint16_t *out, const float *x, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m256bh rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(x + i));
    memcpy(out + i, &rounded, sizeof rounded);
  }
  return i;
}

static TARGET_BF16 void avx512_round_pair(uint16_t *out, const float *one, const float *other) {
  static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  __m512bh pair = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(other), _mm512_loadu_ps(one));
  _mm512_storeu_si512(out, _mm512_permutexvar_epi16(_mm512_loadu_si512(order), (__m512i)pair));
}

const matrix_kernels retort_matrix_avx512 = {
    .quantize_rows = avx512_quantize_rows,
    .product_int8 = avx512_product_int8,
    .product_f32 = avx512_product_f32,
    .round_row = avx512_round_row,
    .round_pair = avx512_round_pair,
    .product_bf16 = avx512_product_bf16,
    .add_bf16 = avx512_add_bf16,
    .add_f32 = avx512_add_f32,
    .attention = avx512_attention,
    .attention_bf16 = retort_attention_bf16_avx512,
    .max_products = avx512_max_products,
    .max_codes = avx512_max_codes,
    .int8_name = "vnni",
};
#endif
