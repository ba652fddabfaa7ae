// The kernels of one instruction set, as matrix.c dispatches to them.
#ifndef MATRIX_LEVELS_H
#define MATRIX_LEVELS_H

#include "retort_matrix.h"

typedef struct {
  void (*quantize_rows)(uint8_t *, size_t, float *, int32_t *, const float *, size_t, size_t,
                        size_t);
  void (*product_int8)(float *, size_t, const uint8_t *, size_t, const float *, const int32_t *,
                       size_t, const retort_weights *, retort_epilogue);
  void (*product_f32)(float *, size_t, const float *, size_t, size_t, const retort_weights *,
                      retort_epilogue);
  // Rounds whole vectors of a row to bf16 and gives the number of values done. Null where there are
  // no bf16 products.
  size_t (*round_row)(uint16_t *, const float *, size_t);
  // Rounds two rows of a panel to bf16, in turns.
  void (*round_pair)(uint16_t *, const float *, const float *);
  void (*product_bf16)(float *, size_t, const uint16_t *, size_t, size_t, const retort_weights *,
                       retort_epilogue);
  void (*add_f32)(float *, size_t, const float *, size_t, const float *, size_t, size_t);
  // Null where there are no bf16 products.
  void (*add_bf16)(float *, size_t, const uint16_t *, size_t, const uint16_t *, size_t, size_t);
  void (*attention)(float *, size_t, const float *, size_t, size_t, size_t, size_t, size_t, float,
                    float *);
  // Null where there are no bf16 products.
  void (*attention_bf16)(float *, size_t, const float *, size_t, size_t, size_t, size_t, size_t,
                         float, float *);
  // best[i] = maxⱼ qᵢ·xⱼ over `rows` rows, at least one.
  void (*max_products)(float *, const retort_weights *, const float *, size_t, size_t);
  // The same over codes, without the scales of the query. For codes up to 127 there may be a faster
  // one; null where there is not.
  void (*max_codes)(float *, const retort_weights *, const uint8_t *, size_t, const float *,
                    const int32_t *, size_t);
  void (*max_small_codes)(float *, const retort_weights *, const uint8_t *, size_t, const float *,
                          const int32_t *, size_t);
  const char *int8_name;
} matrix_kernels;

#if defined(__x86_64__)
extern const matrix_kernels retort_matrix_avx2, retort_matrix_avx512;

// Sequences of up to so many tokens have scratch of this length.
enum { RETORT_ATTENTION_USUAL = 512 };
void retort_attention_bf16_avx512(float *out, size_t out_stride, const float *qkv, size_t stride,
                                  size_t length, size_t attended, size_t heads, size_t size,
                                  float scale, float *scratch);
#elif defined(__aarch64__)
extern const matrix_kernels retort_matrix_neon;
#endif

#endif
