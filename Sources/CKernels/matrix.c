#include "retort_matrix.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "matrix_levels.h"
#include "matrix_scalar.h"
#include "retort_activation.h"

// MARK: Packing

size_t retort_step_inputs(retort_format format) {
  return format == RETORT_FORMAT_INT8 ? 4 : format == RETORT_FORMAT_BF16 ? 2 : 1;
}

size_t retort_panel_bytes(retort_format format, size_t outputs, size_t inputs) {
  size_t step = retort_step_inputs(format), bytes;
  if (outputs > SIZE_MAX - RETORT_PANEL || inputs > SIZE_MAX - step) return 0;
  size_t panels = (outputs + RETORT_PANEL - 1) / RETORT_PANEL;
  size_t steps = (inputs + step - 1) / step;
  if (__builtin_mul_overflow(panels, steps, &bytes)) return 0;
  if (__builtin_mul_overflow(bytes, 4 * RETORT_PANEL, &bytes)) return 0;
  return bytes;
}

// Where the value of (output, input) lies, in elements.
static size_t place(size_t output, size_t input, size_t inputs, size_t step) {
  size_t depth = (inputs + step - 1) / step * step;
  return output / RETORT_PANEL * RETORT_PANEL * depth + input / step * step * RETORT_PANEL +
         output % RETORT_PANEL * step + input % step;
}

void retort_pack_f32(float *panels, const float *weights, size_t outputs, size_t inputs) {
  memset(panels, 0, retort_panel_bytes(RETORT_FORMAT_F32, outputs, inputs));
  for (size_t o = 0; o < outputs; o++) {
    float *to = panels + place(o, 0, inputs, 1);
    for (size_t i = 0; i < inputs; i++) to[i * RETORT_PANEL] = weights[o * inputs + i];
  }
}

void retort_pack_columns_f32(float *panels, const float *x, size_t stride, size_t outputs,
                             size_t inputs) {
  for (size_t first = 0; first < outputs; first += RETORT_PANEL) {
    size_t left = outputs - first < RETORT_PANEL ? outputs - first : RETORT_PANEL;
    for (size_t i = 0; i < inputs; i++, panels += RETORT_PANEL) {
      const float *from = x + i * stride + first;
      if (left == RETORT_PANEL) {
        memcpy(panels, from, RETORT_PANEL * sizeof(float));
      } else {
        memset(panels, 0, RETORT_PANEL * sizeof(float));
        memcpy(panels, from, left * sizeof(float));
      }
    }
  }
}

static uint16_t rounded(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);  // stays a NaN
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float widened(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  memcpy(&result, &bits, sizeof result);
  return result;
}

void retort_round_to_bf16(float *values, size_t count) {
  for (size_t i = 0; i < count; i++) values[i] = widened(rounded(values[i]));
}

void retort_pack_bf16(uint16_t *panels, const float *weights, size_t outputs, size_t inputs) {
  memset(panels, 0, retort_panel_bytes(RETORT_FORMAT_BF16, outputs, inputs));
  for (size_t o = 0; o < outputs; o++) {
    uint16_t *to = panels + place(o, 0, inputs, 2);
    for (size_t i = 0; i < inputs; i++)
      to[i / 2 * 2 * RETORT_PANEL + i % 2] = rounded(weights[o * inputs + i]);
  }
}

static void scalar_round_pair(uint16_t *out, const float *one, const float *other) {
  for (size_t o = 0; o < RETORT_PANEL; o++) {
    out[2 * o] = rounded(one[o]);
    out[2 * o + 1] = rounded(other[o]);
  }
}

// The largest |a + b| of pairs with equal sign that keeps 255·(a + b) within 16 bits.
static const int pair_limit = 128;

static int8_t code(float weight, float inverse) {
  float value = rintf(weight * inverse);
  return (int8_t)(value < -127 ? -127 : value > 127 ? 127 : value);
}

static int too_large(int a, int b) { return a + b > pair_limit || a + b < -pair_limit; }

bool retort_limits_pairs(retort_level level) {
  return level == RETORT_LEVEL_AVX2 || (level == RETORT_LEVEL_AVX512 && !retort_cpu_has_vnni());
}

void retort_pack_int8(int8_t *panels, float *scales, int32_t *sums, const float *weights,
                      size_t outputs, size_t inputs, bool limits_pairs) {
  memset(panels, 0, retort_panel_bytes(RETORT_FORMAT_INT8, outputs, inputs));
  size_t filled = (outputs + RETORT_PANEL - 1) / RETORT_PANEL * RETORT_PANEL;
  for (size_t o = outputs; o < filled; o++) {
    scales[o] = 0;
    sums[o] = 0;
  }
  for (size_t o = 0; o < outputs; o++, weights += inputs) {
    float largest = 0, largest_pair = 0;
    for (size_t i = 0; i < inputs; i++) largest = fmaxf(largest, fabsf(weights[i]));
    // Of opposite signs the sum is smaller than either, so it need not be told apart.
    for (size_t i = 0; i + 1 < inputs; i += 2)
      largest_pair = fmaxf(largest_pair, fabsf(weights[i] + weights[i + 1]));
    float scale = largest / 127;
    if (limits_pairs) scale = fmaxf(scale, largest_pair / (float)pair_limit);
    float inverse = scale > 0 ? 1 / scale : 0;
    int32_t sum = 0;
    for (size_t i = 0; i < inputs; i += 2) {
      int8_t a = code(weights[i], inverse), b = i + 1 < inputs ? code(weights[i + 1], inverse) : 0;
      // Rounding can put a pair one over: the one that was rounded up further gives way.
      if (limits_pairs && too_large(a, b)) {
        float over_a = fabsf((float)a) - fabsf(weights[i] * inverse);
        float over_b = fabsf((float)b) - fabsf(weights[i + 1] * inverse);
        int8_t *gives = over_a >= over_b ? &a : &b;
        *gives = (int8_t)(*gives > 0 ? *gives - 1 : *gives + 1);
      }
      panels[place(o, i, inputs, 4)] = a;
      if (i + 1 < inputs) panels[place(o, i + 1, inputs, 4)] = b;
      sum += a + b;
    }
    scales[o] = scale;
    sums[o] = sum;
  }
}

// MARK: Scalar reference, straight from the definitions

static float activated(float value, retort_epilogue epilogue) {
  if (epilogue == RETORT_GELU_ERF) {
    retort_gelu_erf(RETORT_LEVEL_SCALAR, &value, &value, 1);
  } else if (epilogue == RETORT_GELU_TANH) {
    retort_gelu_tanh(RETORT_LEVEL_SCALAR, &value, &value, 1);
  }
  return value;
}

static void scalar_quantize_rows(uint8_t *codes, size_t stride, float *scales, int32_t *zeros,
                                 const float *x, size_t rows, size_t columns, size_t x_stride) {
  for (size_t r = 0; r < rows; r++, codes += stride, x += x_stride) {
    float low = 0, high = 0, odd = 0, inverse, zero;
    for (size_t i = 0; i < columns; i++) {
      low = x[i] < low ? x[i] : low;
      high = x[i] > high ? x[i] : high;
      odd += 0 * x[i];
    }
    scales[r] = retort_quantizer(low, high, &inverse, &zero) + odd;
    zeros[r] = (int32_t)zero;
    for (size_t i = 0; i < stride; i++) {
      float value = i < columns ? rintf(fmaf(x[i], inverse, zero)) : zero;
      codes[i] = (uint8_t)(value > 0 ? (value < 255 ? value : 255) : 0);
    }
  }
}

static void scalar_product_int8(float *out, size_t out_stride, const uint8_t *codes, size_t stride,
                                const float *scales, const int32_t *zeros, size_t rows,
                                const retort_weights *weights, retort_epilogue epilogue) {
  const int8_t *panels = weights->panels;
  for (size_t r = 0; r < rows; r++)
    for (size_t o = 0; o < weights->outputs; o++) {
      int32_t sum = 0;
      for (size_t i = 0; i < weights->inputs; i++)
        sum += (codes[r * stride + i] - zeros[r]) * panels[place(o, i, weights->inputs, 4)];
      out[r * out_stride + o] = activated(
          fmaf((float)sum, weights->scales[o] * scales[r], weights->bias[o]), epilogue);
    }
}

static void scalar_product_f32(float *out, size_t out_stride, const float *x, size_t x_stride,
                               size_t rows, const retort_weights *weights,
                               retort_epilogue epilogue) {
  const float *panels = weights->panels;
  for (size_t r = 0; r < rows; r++)
    for (size_t o = 0; o < weights->outputs; o++) {
      double sum = weights->bias[o];
      for (size_t i = 0; i < weights->inputs; i++)
        sum += (double)x[r * x_stride + i] * panels[place(o, i, weights->inputs, 1)];
      out[r * out_stride + o] = activated((float)sum, epilogue);
    }
}

static void scalar_product_bf16(float *out, size_t out_stride, const uint16_t *x, size_t stride,
                                size_t rows, const retort_weights *weights,
                                retort_epilogue epilogue) {
  const uint16_t *panels = weights->panels;
  for (size_t r = 0; r < rows; r++)
    for (size_t o = 0; o < weights->outputs; o++) {
      double sum = weights->bias[o];
      for (size_t i = 0; i < weights->inputs; i++)
        sum += (double)widened(x[r * stride + i]) *
               widened(panels[place(o, i, weights->inputs, 2)]);
      out[r * out_stride + o] = activated((float)sum, epilogue);
    }
}

static void scalar_add_f32(float *out, size_t out_stride, const float *a, size_t rows,
                           const float *b, size_t columns, size_t depth) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) {
      double sum = 0;
      for (size_t k = 0; k < depth; k++)
        sum += (double)a[place(r, k, depth, 1)] * b[place(c, k, depth, 1)];
      out[r * out_stride + c] += (float)sum;
    }
}

static void scalar_add_bf16(float *out, size_t out_stride, const uint16_t *a, size_t rows,
                            const uint16_t *b, size_t columns, size_t depth) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) {
      double sum = 0;
      for (size_t k = 0; k < depth; k++)
        sum += (double)widened(a[place(r, k, depth, 2)]) * widened(b[place(c, k, depth, 2)]);
      out[r * out_stride + c] += (float)sum;
    }
}

static void scalar_attention(float *out, size_t out_stride, const float *qkv, size_t stride,
                             size_t length, size_t keys, size_t heads, size_t size, float scale,
                             float *scratch) {
  size_t width = heads * size;
  for (size_t head = 0; head < heads; head++)
    for (size_t i = 0; i < length; i++) {
      const float *query = qkv + i * stride + head * size;
      for (size_t j = 0; j < keys; j++) {
        const float *key = qkv + j * stride + width + head * size;
        double sum = 0;
        for (size_t c = 0; c < size; c++) sum += (double)query[c] * key[c];
        scratch[j] = (float)sum;
      }
      retort_softmax(RETORT_LEVEL_SCALAR, scratch, keys, scale);
      for (size_t c = 0; c < size; c++) {
        double sum = 0;
        for (size_t j = 0; j < keys; j++)
          sum += (double)scratch[j] * qkv[j * stride + 2 * width + head * size + c];
        out[i * out_stride + head * size + c] = (float)sum;
      }
    }
}

static void scalar_attention_bf16(float *out, size_t out_stride, const float *qkv, size_t stride,
                                  size_t length, size_t keys, size_t heads, size_t size,
                                  float scale, float *scratch) {
  size_t width = heads * size;
  float unit = scale * 1.44269504f;  // for powers of two
  for (size_t head = 0; head < heads; head++)
    for (size_t i = 0; i < length; i++) {
      const float *query = qkv + i * stride + head * size;
      float largest = -INFINITY;
      for (size_t j = 0; j < keys; j++) {
        const float *key = qkv + j * stride + width + head * size;
        double sum = 0;
        for (size_t c = 0; c < size; c++)
          sum += (double)widened(rounded(query[c] * unit)) * widened(rounded(key[c]));
        scratch[j] = (float)sum;
        largest = fmaxf(largest, scratch[j]);
      }
      double total = 0;
      for (size_t j = 0; j < keys; j++) {
        scratch[j] = exp2f(scratch[j] - largest);
        total += scratch[j];
        scratch[j] = widened(rounded(scratch[j]));
      }
      for (size_t c = 0; c < size; c++) {
        double sum = 0;
        for (size_t j = 0; j < keys; j++)
          sum += (double)scratch[j] *
                 widened(rounded(qkv[j * stride + 2 * width + head * size + c]));
        out[i * out_stride + head * size + c] = (float)(sum / total);
      }
    }
}

static void scalar_max_products(float *best, const retort_weights *query, const float *x,
                                size_t x_stride, size_t rows) {
  for (size_t i = 0; i < query->outputs; i++) {
    const float *panel = (const float *)query->panels +
                         i / RETORT_PANEL * RETORT_PANEL * query->inputs + i % RETORT_PANEL;
    best[i] = -INFINITY;
    for (size_t r = 0; r < rows; r++) {
      double sum = 0;
      for (size_t k = 0; k < query->inputs; k++)
        sum += (double)panel[k * RETORT_PANEL] * x[r * x_stride + k];
      if (!((float)sum <= best[i])) best[i] = (float)sum;
    }
  }
}

static void scalar_max_codes(float *best, const retort_weights *query, const uint8_t *codes,
                             size_t stride, const float *scales, const int32_t *zeros,
                             size_t rows) {
  size_t depth = (query->inputs + 3) / 4 * 4;
  for (size_t i = 0; i < query->outputs; i++) {
    const int8_t *panel = (const int8_t *)query->panels +
                          i / RETORT_PANEL * RETORT_PANEL * depth + i % RETORT_PANEL * 4;
    best[i] = -INFINITY;
    for (size_t r = 0; r < rows; r++) {
      int32_t sum = 0;
      for (size_t k = 0; k < query->inputs; k++)
        sum += panel[k / 4 * 4 * RETORT_PANEL + k % 4] *
               ((int32_t)codes[r * stride + k] - zeros[r]);
      float product = (float)sum * scales[r];
      if (!(product <= best[i])) best[i] = product;
    }
  }
}

static const matrix_kernels scalar = {
    .quantize_rows = scalar_quantize_rows,
    .product_int8 = scalar_product_int8,
    .product_f32 = scalar_product_f32,
    .product_bf16 = scalar_product_bf16,
    .add_f32 = scalar_add_f32,
    .add_bf16 = scalar_add_bf16,
    .attention = scalar_attention,
    .attention_bf16 = scalar_attention_bf16,
    .max_products = scalar_max_products,
    .max_codes = scalar_max_codes,
    .int8_name = "scalar",
};

// MARK: Dispatch

static const matrix_kernels *kernels(retort_level level) {
  if (!retort_level_available(level)) return &scalar;
  switch (level) {
#if defined(__x86_64__)
    case RETORT_LEVEL_AVX512: return &retort_matrix_avx512;
    case RETORT_LEVEL_AVX2: return &retort_matrix_avx2;
#elif defined(__aarch64__)
    case RETORT_LEVEL_NEON: return &retort_matrix_neon;
#endif
    default: return &scalar;
  }
}

// The same for int8 products, which some CPUs of a level lack.
static const matrix_kernels *int8_kernels(retort_level level) {
#if defined(__x86_64__)
  if (level == RETORT_LEVEL_AVX512 && !retort_cpu_has_vnni()) level = RETORT_LEVEL_AVX2;
#elif defined(__aarch64__)
  if (level == RETORT_LEVEL_NEON && !retort_cpu_has_dotprod()) level = RETORT_LEVEL_SCALAR;
#endif
  return kernels(level);
}

const char *retort_int8_name(retort_level level) { return int8_kernels(level)->int8_name; }

bool retort_has_bf16(retort_level level) {
  const matrix_kernels *of_level = kernels(level);
  return of_level == &scalar || (of_level->product_bf16 != NULL && retort_cpu_has_bf16());
}

void retort_pack_columns_bf16(retort_level level, uint16_t *panels, const float *x, size_t stride,
                              size_t outputs, size_t inputs) {
  static const float none[RETORT_PANEL] = {0};
  const matrix_kernels *in_use = kernels(level);
  void (*round_pair)(uint16_t *, const float *, const float *) =
      in_use->round_pair && retort_cpu_has_bf16() ? in_use->round_pair : scalar_round_pair;
  for (size_t first = 0; first < outputs; first += RETORT_PANEL) {
    size_t left = outputs - first < RETORT_PANEL ? outputs - first : RETORT_PANEL;
    for (size_t i = 0; i < inputs; i += 2, panels += 2 * RETORT_PANEL) {
      const float *one = x + i * stride + first, *other = i + 1 < inputs ? one + stride : none;
      float copies[2][RETORT_PANEL];
      if (left < RETORT_PANEL) {
        memset(copies, 0, sizeof copies);
        memcpy(copies[0], one, left * sizeof(float));
        memcpy(copies[1], other, left * sizeof(float));
        one = copies[0];
        other = copies[1];
      }
      round_pair(panels, one, other);
    }
  }
}

bool retort_multiplies_bf16(retort_level level) {
  return kernels(level) != &scalar && retort_has_bf16(level);
}

void retort_quantize_rows(retort_level level, uint8_t *codes, size_t stride, float *scales,
                          int32_t *zeros, const float *x, size_t rows, size_t columns,
                          size_t x_stride) {
  kernels(level)->quantize_rows(codes, stride, scales, zeros, x, rows, columns, x_stride);
}

void retort_product_int8(retort_level level, float *out, size_t out_stride, const uint8_t *codes,
                         size_t stride, const float *scales, const int32_t *zeros, size_t rows,
                         const retort_weights *weights, retort_epilogue epilogue) {
  int8_kernels(level)->product_int8(out, out_stride, codes, stride, scales, zeros, rows, weights,
                                    epilogue);
}

void retort_product_f32(retort_level level, float *out, size_t out_stride, const float *x,
                        size_t x_stride, size_t rows, const retort_weights *weights,
                        retort_epilogue epilogue) {
  kernels(level)->product_f32(out, out_stride, x, x_stride, rows, weights, epilogue);
}

void retort_round_rows(retort_level level, uint16_t *out, size_t stride, const float *x,
                       size_t rows, size_t columns, size_t x_stride) {
  for (size_t r = 0; r < rows; r++, out += stride, x += x_stride) {
    size_t done = 0;
    if (kernels(level)->round_row && retort_cpu_has_bf16())
      done = kernels(level)->round_row(out, x, columns);
    for (size_t i = done; i < stride; i++) out[i] = i < columns ? rounded(x[i]) : 0;
  }
}

void retort_product_bf16(retort_level level, float *out, size_t out_stride, const uint16_t *x,
                         size_t stride, size_t rows, const retort_weights *weights,
                         retort_epilogue epilogue) {
  kernels(level)->product_bf16(out, out_stride, x, stride, rows, weights, epilogue);
}

void retort_add_products(retort_level level, retort_format format, float *out, size_t out_stride,
                         const void *a, size_t rows, const void *b, size_t columns, size_t depth) {
  if (format == RETORT_FORMAT_BF16) {
    kernels(level)->add_bf16(out, out_stride, a, rows, b, columns, depth);
  } else {
    kernels(level)->add_f32(out, out_stride, a, rows, b, columns, depth);
  }
}

void retort_attention(retort_level level, float *out, size_t out_stride, const float *qkv,
                      size_t stride, size_t length, size_t keys, size_t heads, size_t size,
                      float scale, float *scratch) {
  if (length == 0 || keys == 0) return;
  kernels(level)->attention(out, out_stride, qkv, stride, length, keys, heads, size, scale,
                            scratch);
}

void retort_attention_bf16(retort_level level, float *out, size_t out_stride, const float *qkv,
                           size_t stride, size_t length, size_t keys, size_t heads, size_t size,
                           float scale, float *scratch) {
  if (length == 0 || keys == 0) return;
  const matrix_kernels *of_level = kernels(level);
  bool fits = size % 32 == 0 && of_level->attention_bf16;
  (fits ? of_level->attention_bf16 : of_level->attention)(out, out_stride, qkv, stride, length,
                                                         keys, heads, size, scale, scratch);
}

void retort_max_sim(retort_level level, float *scores, const retort_weights *query, const float *x,
                    size_t x_stride, const size_t *offsets, size_t passages, float *best) {
  const matrix_kernels *of_level = kernels(level);
  for (size_t p = 0; p < passages; p++) {
    size_t rows = offsets[p + 1] - offsets[p];
    scores[p] = query->outputs == 0 ? 0 : -INFINITY;
    if (rows == 0 || query->outputs == 0) continue;
    of_level->max_products(best, query, x + offsets[p] * x_stride, x_stride, rows);
    float sum = 0;
    for (size_t i = 0; i < query->outputs; i++) sum += best[i];
    scores[p] = sum;
  }
}

void retort_max_sim_int8(retort_level level, float *scores, const retort_weights *query,
                         const uint8_t *codes, size_t stride, const float *scales,
                         const int32_t *zeros, const size_t *offsets, size_t passages,
                         bool is_small, float *best) {
  const matrix_kernels *of_level = int8_kernels(level);
  void (*max_codes)(float *, const retort_weights *, const uint8_t *, size_t, const float *,
                    const int32_t *, size_t) = of_level->max_codes;
  if (is_small && of_level->max_small_codes) max_codes = of_level->max_small_codes;
  for (size_t p = 0; p < passages; p++) {
    size_t first = offsets[p], rows = offsets[p + 1] - first;
    scores[p] = query->outputs == 0 ? 0 : -INFINITY;
    if (rows == 0 || query->outputs == 0) continue;
    max_codes(best, query, codes + first * stride, stride, scales + first, zeros + first, rows);
    float sum = 0;
    for (size_t i = 0; i < query->outputs; i++) sum += best[i] * query->scales[i];
    scores[p] = sum;
  }
}

// The first of the largest of `count` values, not below *value: then *value and *number are set.
static void scalar_largest(float *value, uint32_t *number, uint32_t first, const float *values,
                           size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (values[i] > *value) {
      *value = values[i];
      *number = first + (uint32_t)i;
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void avx2_largest(float *value, uint32_t *number,
                                                         uint32_t first, const float *values,
                                                         size_t count) {
  size_t whole = count / 8 * 8;
  __m256 top = _mm256_set1_ps(*value);
  for (size_t i = 0; i < whole; i += 8) top = _mm256_max_ps(_mm256_loadu_ps(values + i), top);
  float parts[8];
  _mm256_storeu_ps(parts, top);
  float largest = parts[0];
  for (int lane = 1; lane < 8; lane++) largest = parts[lane] > largest ? parts[lane] : largest;
  if (largest > *value) {
    __m256 wanted = _mm256_set1_ps(largest);
    for (size_t i = 0; i < whole; i += 8) {
      int found =
          _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(values + i), wanted, _CMP_EQ_OQ));
      if (!found) continue;
      *value = largest;
      *number = first + (uint32_t)(i + (size_t)__builtin_ctz((unsigned)found));
      break;
    }
  }
  scalar_largest(value, number, first + (uint32_t)whole, values + whole, count - whole);
}
#endif

void retort_largest_f32(retort_level level, float *values, uint32_t *numbers, uint32_t first,
                        const float *x, size_t x_stride, size_t rows,
                        const retort_weights *weights, float *scratch) {
  retort_product_f32(level, scratch, weights->outputs, x, x_stride, rows, weights,
                     RETORT_IDENTITY);
  for (size_t r = 0; r < rows; r++) {
    const float *row = scratch + r * weights->outputs;
#if defined(__x86_64__)
    if (level >= RETORT_LEVEL_AVX2 && retort_level_available(RETORT_LEVEL_AVX2)) {
      avx2_largest(values + r, numbers + r, first, row, weights->outputs);
      continue;
    }
#endif
    scalar_largest(values + r, numbers + r, first, row, weights->outputs);
  }
}

size_t retort_attention_scratch(size_t length, size_t size) {
  size_t step = 2 * RETORT_PANEL, keys = (length + step - 1) / step * step;
  size_t columns = (size + RETORT_PANEL - 1) / RETORT_PANEL * RETORT_PANEL;
  size_t most = keys;
#if defined(__x86_64__)
  if (most < RETORT_ATTENTION_USUAL) most = RETORT_ATTENTION_USUAL;
#endif
  // Keys and values of one head, and of a tile of at most eight queries the scores in f32 and, in bf16, the
  // queries themselves and the softmax.
  return 2 * keys * columns + 12 * most + 4 * columns;
}
