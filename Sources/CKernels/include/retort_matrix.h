#ifndef RETORT_MATRIX_H
#define RETORT_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "retort_cpu.h"

// Products of rows with a weight matrix that was packed once: out = activation(x Wᵀ + bias).
//
// Packed weights lie in panels of 16 outputs. Within a panel inputs follow each other in steps, and
// a step holds, for each of the 16 outputs in turn, its values for the step's inputs: one f32, two
// bf16 or four int8, so that a step is 64 bytes (one vector of AVX-512) in every format. Outputs
// and inputs are filled up with zeros. The same panels serve every instruction set.

enum { RETORT_PANEL = 16 };

typedef enum {
  RETORT_FORMAT_F32 = 0,
  RETORT_FORMAT_BF16 = 1,
  RETORT_FORMAT_INT8 = 2,
} retort_format;

typedef enum {
  RETORT_IDENTITY = 0,
  RETORT_GELU_ERF = 1,
  RETORT_GELU_TANH = 2,
} retort_epilogue;

typedef struct {
  retort_format format;
  size_t inputs, outputs;
  const void *panels;    // 64-byte aligned, retort_panel_bytes
  const float *bias;     // one per output, filled up to whole panels
  const float *scales;   // int8: value = scale × code, one per output, filled up
  const int32_t *sums;   // int8: sum of an output's codes, filled up
} retort_weights;

// Inputs of one step: 1, 2 or 4.
size_t retort_step_inputs(retort_format format);
// Bytes of the panels of an outputs × inputs matrix; 0 when that overflows.
size_t retort_panel_bytes(retort_format format, size_t outputs, size_t inputs);

// Pack outputs × inputs row-major floats. bf16 rounds to nearest even.
void retort_round_to_bf16(float *values, size_t count);
void retort_pack_f32(float *panels, const float *weights, size_t outputs, size_t inputs);
void retort_pack_bf16(uint16_t *panels, const float *weights, size_t outputs, size_t inputs);

// The same of a matrix that lies the other way round: input i of output o is x[i · stride + o].
void retort_pack_columns_f32(float *panels, const float *x, size_t stride, size_t outputs,
                             size_t inputs);
void retort_pack_columns_bf16(retort_level level, uint16_t *panels, const float *x, size_t stride,
                              size_t outputs, size_t inputs);

// Whether the level's products need int8 weights of limited pairs: AVX2's pairwise multiply-add of
// u8 × s8 saturates at 16 bits.
bool retort_limits_pairs(retort_level level);

// int8 with one scale per output, codes within ±127. With `limits_pairs` two codes of equal sign at
// inputs 2j and 2j + 1 sum to at most 128 in magnitude, so that 255·(a + b) fits 16 bits and every
// level's sums are exact. The scale is the smallest that allows it: that costs less precision than
// 7-bit weights, as pairs of two large weights of equal sign are rare, but a fifth more rounding
// error than codes without the limit.
void retort_pack_int8(int8_t *panels, float *scales, int32_t *sums, const float *weights,
                      size_t outputs, size_t inputs, bool limits_pairs);

// Row r becomes codes 0...255 with x ≈ scales[r] × (code − zeros[r]); zero is always exact. Codes
// are filled up to `stride` bytes, which must be a multiple of 4 and at least `columns`. An inf or
// NaN gives a NaN scale, so that it is seen in the result.
void retort_quantize_rows(retort_level level, uint8_t *codes, size_t stride, float *scales,
                          int32_t *zeros, const float *x, size_t rows, size_t columns,
                          size_t x_stride);

// out[r][o] = f(scales[r] · weights.scales[o] · Σ (code − zero)·weight + bias[o]). The sum is exact,
// so every instruction set gives the same one; where retort_limits_pairs, of weights packed with that limit
// alone, for others it saturates. GELU is within 2e-5 here and in products of bf16. Strides
// in elements; `stride` as above.
void retort_product_int8(retort_level level, float *out, size_t out_stride, const uint8_t *codes,
                         size_t stride, const float *scales, const int32_t *zeros, size_t rows,
                         const retort_weights *weights, retort_epilogue epilogue);

// out[r][o] = f(Σ x·weight + bias[o]) with f32 weights.
void retort_product_f32(retort_level level, float *out, size_t out_stride, const float *x,
                        size_t x_stride, size_t rows, const retort_weights *weights,
                        retort_epilogue epilogue);

// Whether `level` multiplies bf16 by bf16 (in hardware, or as the scalar reference). Elsewhere bf16
// weights are rounded and held as f32, which is as fast as widening them each time is slow.
bool retort_has_bf16(retort_level level);
// Whether it does so in hardware, which is what makes it worth while.
bool retort_multiplies_bf16(retort_level level);
// Row r rounded to bf16 (nearest even), filled up with zeros to `stride` (even) elements.
void retort_round_rows(retort_level level, uint16_t *out, size_t stride, const float *x,
                       size_t rows, size_t columns, size_t x_stride);
// As retort_product_f32 over rounded rows; only where retort_has_bf16.
void retort_product_bf16(retort_level level, float *out, size_t out_stride, const uint16_t *x,
                         size_t stride, size_t rows, const retort_weights *weights,
                         retort_epilogue epilogue);

// out[r][c] += Σₖ a[r][k] · b[c][k] of two matrices of `depth` inputs that were packed alike, in f32 or
// bf16 (only where retort_has_bf16): the gradient of a weight matrix, with tokens for inputs.
void retort_add_products(retort_level level, retort_format format, float *out, size_t out_stride,
                         const void *a, size_t rows, const void *b, size_t columns, size_t depth);

// The instructions that int8 products use at `level`: "vnni", "maddubs", "dotprod" or "scalar".
const char *retort_int8_name(retort_level level);

// Self-attention of one sequence: head h of row i of `out` becomes Σⱼ softmaxⱼ(qᵢ·kⱼ·scale) vⱼ over
// the first `keys` rows j, at least one, for i in 0 ..< length. `qkv` has as many rows as the larger of both
// says, of 3·heads·size floats, queries, keys and values side by side, at `stride`; `scratch` holds
// retort_attention_scratch floats for that many, 64-byte aligned.
void retort_attention(retort_level level, float *out, size_t out_stride, const float *qkv,
                      size_t stride, size_t length, size_t keys, size_t heads, size_t size,
                      float scale, float *scratch);
size_t retort_attention_scratch(size_t length, size_t size);
// The same with queries (times scale), keys, values and the numerators of the softmax rounded to bf16 and
// sums in f32; only where retort_has_bf16. Heads whose size is no multiple of 32 are computed in f32.
void retort_attention_bf16(retort_level level, float *out, size_t out_stride, const float *qkv,
                           size_t stride, size_t length, size_t keys, size_t heads, size_t size,
                           float scale, float *scratch);

// MaxSim of a query with many passages (Khattab and Zaharia 2020, arXiv:2004.12832):
//   scores[p] = Σᵢ maxⱼ qᵢ·xⱼ over the rows j in offsets[p]..<offsets[p + 1] of x.
// The vectors of the query's tokens are the outputs of `query`, packed by retort_pack_f32; its bias
// plays no part. A passage without rows gets -inf, a query without tokens 0 everywhere. `best` holds
// `query->outputs` floats, filled up to whole panels, 64-byte aligned.
void retort_max_sim(retort_level level, float *scores, const retort_weights *query, const float *x,
                    size_t x_stride, const size_t *offsets, size_t passages, float *best);

// The same over rows of codes, x = scales[j] · (code − zeros[j]), and a query packed by
// retort_pack_int8 with the limit of pairs. The integer sums are exact, so every instruction set gives
// nearly the same.
// `is_small` says that no code is above 127: that is faster with AVX2.
void retort_max_sim_int8(retort_level level, float *scores, const retort_weights *query,
                         const uint8_t *codes, size_t stride, const float *scales,
                         const int32_t *zeros, const size_t *offsets, size_t passages,
                         bool is_small, float *best);

// For rows of x the output with the largest product, Σ x·weight + bias, if it is larger than
// values[r]: then values[r] is set to it and numbers[r] to `first` + output. `scratch` holds rows ×
// weights->outputs floats. Of equal products the first wins.
void retort_largest_f32(retort_level level, float *values, uint32_t *numbers, uint32_t first,
                        const float *x, size_t x_stride, size_t rows,
                        const retort_weights *weights, float *scratch);

#endif
