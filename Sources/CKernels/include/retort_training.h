#ifndef RETORT_TRAINING_H
#define RETORT_TRAINING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "retort_cpu.h"

// Gradients of the row kernels, and what else a step of training does to every number.
// `level` is the instruction set; asking for one this CPU lacks means scalar.

// Elements are kept with probability 1 − rate and then divided by it. Whether an element is kept
// depends on `key` and on its number alone, not on the order of work. A rate of 0 does nothing.
typedef struct {
  uint64_t key;
  uint32_t threshold;  // rate · 2²⁴
  float scale;         // 1 / (1 − rate)
} retort_dropout_mask;

// x[i] is dropped or scaled as element number `first` + i (modulo 2³²).
void retort_dropout(retort_level level, float *x, size_t count, uint32_t first,
                    retort_dropout_mask mask);

// out[i] += x[i].
void retort_add(retort_level level, float *out, const float *x, size_t count);

// Σ x², accumulated in double precision over stretches of 4,096.
double retort_sum_of_squares(retort_level level, const float *x, size_t count);

// gradient[i] *= GELU'(x[i]), with an absolute error of the slope below 3e-6.
void retort_gelu_erf_slope(retort_level level, float *gradient, const float *x, size_t count);
void retort_gelu_tanh_slope(retort_level level, float *gradient, const float *x, size_t count);

// One row of layer normalisation backwards: `s` is what was normalised, `dy` the gradient of the
// result. `dx` is written (and may be `dy`), `dweight` and `dbias` are added to.
void retort_layer_norm_backward(retort_level level, float *dx, float *dweight, float *dbias,
                                const float *dy, const float *s, const float *weight, size_t count,
                                float epsilon);

// c = a b, or c += a b where `adds`: rows × columns, over `depth`. `a` may be transposed: its
// element (r, k) is a[r·a_row + k·a_depth]. Meant for matrices that fit the first-level cache.
void retort_small_product(retort_level level, float *c, size_t c_stride, const float *a,
                          size_t a_row, size_t a_depth, const float *b, size_t b_stride,
                          size_t rows, size_t columns, size_t depth, bool adds);

// Self-attention of head `head` of one sequence over its first `keys` rows, as retort_attention has
// it, with dropout of the probabilities: element (i, j) of a sequence of `length` is number
// i·length + j. `scratch` holds retort_attention_training_scratch floats, 64-byte aligned.
void retort_attention_dropped(retort_level level, float *out, size_t out_stride, const float *qkv,
                              size_t stride, size_t length, size_t keys, size_t heads,
                              size_t head, size_t size, float scale, retort_dropout_mask mask,
                              float *scratch);

// The same head backwards: from `dout` (at `out_stride`), the gradient of the output, the gradients
// of queries, keys and values, written to `dqkv` (at `stride`). Probabilities are computed again.
void retort_attention_backward(retort_level level, float *dqkv, const float *dout,
                               size_t out_stride, const float *qkv, size_t stride, size_t length,
                               size_t keys, size_t heads, size_t head, size_t size, float scale,
                               retort_dropout_mask mask, float *scratch);
size_t retort_attention_training_scratch(size_t length, size_t size);

// One step of Adam (Kingma and Ba 2014, arXiv:1412.6980), with weight decay in the gradient
// (penalty) or decoupled from it (decay; Loshchilov and Hutter 2017, arXiv:1711.05101):
//   m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g² with g = scale · gradient + penalty · p,
//   p ← decay · p − rate · m / (√v · root + ε).
typedef struct {
  float scale;    // of the gradient: clipping, averaging
  float beta1, beta2;
  float rate;     // learning rate / (1 − β₁ᵗ)
  float root;     // 1 / √(1 − β₂ᵗ)
  float epsilon;
  float penalty;  // weight decay of Adam, 0 of AdamW
  float decay;    // 1 − learning rate · weight decay of AdamW, 1 of Adam
} retort_adam_step;

void retort_adam(retort_level level, float *parameters, float *first, float *second,
                 const float *gradient, size_t count, retort_adam_step step);

#endif
