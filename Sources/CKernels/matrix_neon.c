#include "retort_matrix.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include "gelu_terms.h"
#include "matrix_levels.h"
#include "matrix_scalar.h"

#define LANES 4
#define TARGET
#define NAME(x) neon_##x
#define ROWS 4
#define PANELS 1
#define TARGET_INT8 __attribute__((target("dotprod")))
// Codes become signed by flipping their top bit, that is by subtracting 128.
#define DOT4(sum, codes, weights)                                      \
  (neon_integers)vdotq_s32((int32x4_t)(sum),                           \
                           (int8x16_t)((codes) ^ (int32_t)0x80808080), \
                           (int8x16_t)(weights))
#define DOT4_OFFSET 128
// Rounds four vectors and narrows them to codes with saturation.
#define NARROWED(v) vqmovun_s32(vcvtnq_s32_f32((float32x4_t)(v)))
#define STORE_CODES(to, a, b, c, d)                                             \
  vst1q_u8(to, vcombine_u8(vqmovn_u16(vcombine_u16(NARROWED(a), NARROWED(b))),  \
                           vqmovn_u16(vcombine_u16(NARROWED(c), NARROWED(d)))))
#include "matrix_lanes.h"

const matrix_kernels retort_matrix_neon = {
    .quantize_rows = neon_quantize_rows,
    .product_int8 = neon_product_int8,
    .product_f32 = neon_product_f32,
    .add_f32 = neon_add_f32,
    .attention = neon_attention,
    .max_products = neon_max_products,
    .max_codes = neon_max_codes,
    .int8_name = "dotprod",
};
#endif
