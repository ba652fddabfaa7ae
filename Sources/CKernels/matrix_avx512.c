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
#define TARGET_INT8 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define DOT4(sum, codes, weights) \
  (avx512_integers)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(codes), (__m512i)(weights))
#define DOT4_OFFSET 0
#define TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define DOT2(sum, x, weights) \
  (avx512_vector)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(x), (__m512bh)(weights))
// Rounds four vectors and narrows them to codes with saturation.
#define STORE_CODE(to, v)                                                 \
  _mm_storeu_si128((__m128i *)(to),                                       \
                   _mm512_cvtusepi32_epi8(_mm512_max_epi32(               \
                       _mm512_cvtps_epi32((__m512)(v)), _mm512_setzero_si512())))
#define STORE_CODES(to, a, b, c, d) \
  STORE_CODE(to, a), STORE_CODE(to + 16, b), STORE_CODE(to + 32, c), STORE_CODE(to + 48, d)
#include "matrix_lanes.h"

static TARGET_BF16 size_t avx512_round_row(uint16_t *out, const float *x, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m256bh rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(x + i));
    memcpy(out + i, &rounded, sizeof rounded);
  }
  return i;
}

const matrix_kernels retort_matrix_avx512 = {
    .quantize_rows = avx512_quantize_rows,
    .product_int8 = avx512_product_int8,
    .product_f32 = avx512_product_f32,
    .round_row = avx512_round_row,
    .product_bf16 = avx512_product_bf16,
    .attention = avx512_attention,
    .max_products = avx512_max_products,
    .max_codes = avx512_max_codes,
    .int8_name = "vnni",
};
#endif
