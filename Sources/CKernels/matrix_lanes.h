// The kernels of retort_matrix.h over vectors of LANES floats, written once with the compiler's
// vector types and included once per instruction set. The includer defines
//   LANES, TARGET, NAME()  as for activation_lanes.h, which is included here
//   ROWS, PANELS           rows and panels of a register tile
//   TARGET_INT8, DOT4(sum, codes, weights)   four products per 32-bit lane, if it has them
//   DOT8(sum, codes, weights, more codes, more weights)   twice four of codes up to 127, if that
//                          takes less than two of DOT4
//   PREFETCHES             if tiles are to ask for the weights that are next
// Deliberately no include guard.

#define KEEP_LANES
#include "activation_lanes.h"

#define vector NAME(vector)
#define bits NAME(bits)
#define integers NAME(integers)
#define INLINE static inline __attribute__((always_inline)) TARGET
// Vectors of a panel's step, and of a tile's.
#define PARTS (RETORT_PANEL / LANES)
#define WIDTH (PANELS * PARTS)
#define UNROLL _Pragma("clang loop unroll(full)")

typedef int32_t NAME(integers) __attribute__((vector_size(LANES * 4)));

// GELU over the stored rows of a tile, which are still in the first cache. One function for every
// shape of tile: inside the tiles it would be compiled once for each, and takes no less time there.
static __attribute__((noinline)) TARGET void NAME(activate)(float *out, size_t stride, size_t rows,
                                                            size_t columns,
                                                            retort_epilogue epilogue) {
  for (size_t r = 0; r < rows; r++, out += stride) {
    if (epilogue == RETORT_GELU_ERF) NAME(gelu_erf)(out, out, columns);
    if (epilogue == RETORT_GELU_TANH) NAME(gelu_tanh)(out, out, columns);
  }
}

// The same for products of rounded rows, a quarter faster and less exact.
INLINE void NAME(gelu_short)(float *out, size_t count, const float *terms) {
  for (size_t i = 0; i < count; i += LANES) {
    size_t left = count - i;
    vector x = left < LANES ? NAME(load_part)(out + i, left, 0) : NAME(load)(out + i);
    vector y = NAME(gelu_by)(x, terms, GELU_SHORT_TERMS, 4.5f);
    if (left < LANES) {
      NAME(store_part)(out + i, y, left);
    } else {
      NAME(store)(out + i, y);
    }
  }
}

static __attribute__((noinline)) TARGET void NAME(activate_short)(float *out, size_t stride,
                                                                  size_t rows, size_t columns,
                                                                  retort_epilogue epilogue) {
  for (size_t r = 0; r < rows; r++, out += stride) {
    if (epilogue == RETORT_GELU_ERF) NAME(gelu_short)(out, columns, gelu_erf_short_terms);
    if (epilogue == RETORT_GELU_TANH) NAME(gelu_short)(out, columns, gelu_tanh_short_terms);
  }
}

// Applies the epilogue to a tile of which `left` columns or all its panels are stored.
INLINE void NAME(finish)(float *out, size_t stride, const int rows, const int panels, size_t left,
                         retort_epilogue epilogue, const int rounds) {
  if (epilogue == RETORT_IDENTITY) return;
  size_t width = (size_t)panels * RETORT_PANEL, columns = left < width ? left : width;
  (rounds ? NAME(activate_short) : NAME(activate))(out, stride, (size_t)rows, columns, epilogue);
}

// Stores the first `left` columns of the rows of a tile whose last panels are cut. One function for
// every shape of tile, as for `activate`.
static __attribute__((noinline)) TARGET void NAME(store_cut)(float *out, size_t stride,
                                                             const vector *values, size_t rows,
                                                             size_t left) {
  for (size_t r = 0; r < rows; r++, out += stride, values += WIDTH)
    __builtin_memcpy(out, values, left * sizeof(float));
}

// Stores a tile of which `left` columns or all its panels belong to the product.
INLINE void NAME(store_tile)(float *out, size_t stride, vector values[ROWS][WIDTH], const int rows,
                             const int panels, size_t left) {
  if (left >= (size_t)panels * RETORT_PANEL) {
    UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int c = 0; c < panels * PARTS; c++)
        NAME(store)(out + (size_t)r * stride + (size_t)c * LANES, values[r][c]);
  } else {
    // A copy, so that only this rare case needs the values in memory.
    vector copy[ROWS][WIDTH];
    UNROLL for (int r = 0; r < rows; r++)
      UNROLL for (int c = 0; c < panels * PARTS; c++) copy[r][c] = values[r][c];
    NAME(store_cut)(out, stride, copy[0], (size_t)rows, left);
  }
}

// MARK: f32

#ifdef PREFETCHES
// The panel that a tile asks for while it computes, a line a step: the tiles of one group of panels ask
// for those of the next, and at the end for the first ones, with which the next rows begin. Weights that
// lie in the third-level cache are then in the second when their turn comes. A null address asks for
// nothing.
#define AHEAD(panels, row, panel) ((panel + panels + row / ROWS % PANELS) % total)
#define FETCH(address, step)                                  \
  do {                                                        \
    if (address) __builtin_prefetch(address + (step), 0, 2);  \
  } while (0)
#else
#define AHEAD(panels, row, panel) 0
#define FETCH(address, step) (void)(address)
#endif

INLINE void NAME(sums_f32)(vector sums[ROWS][WIDTH], const int rows, const int panels,
                           const float *x, size_t x_stride, const float *weights, size_t panel,
                           size_t depth, const char *ahead) {
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int c = 0; c < panels * PARTS; c++) sums[r][c] = (vector){0};
  for (size_t k = 0; k < depth; k++) {
    FETCH(ahead, k * RETORT_PANEL * sizeof(float));
    vector w[WIDTH];
    UNROLL for (int p = 0; p < panels; p++)
      UNROLL for (int c = 0; c < PARTS; c++)
        w[p * PARTS + c] =
            NAME(load)(weights + (size_t)p * panel + k * RETORT_PANEL + (size_t)c * LANES);
    UNROLL for (int r = 0; r < rows; r++) {
      vector value = NAME(splat)(x[(size_t)r * x_stride + k]);
      UNROLL for (int c = 0; c < panels * PARTS; c++)
        sums[r][c] = NAME(fma)(value, w[c], sums[r][c]);
    }
  }
}

INLINE void NAME(tile_f32)(const int rows, const int panels, float *out, size_t out_stride,
                           const float *x, size_t x_stride, const retort_weights *weights,
                           size_t first, size_t next, retort_epilogue epilogue) {
  vector sums[ROWS][WIDTH];
  size_t depth = weights->inputs, panel = depth * RETORT_PANEL;
  const float *from = weights->panels;
  NAME(sums_f32)(sums, rows, panels, x, x_stride, from + first * panel, panel, depth,
                 (const char *)(from + next * panel));
  size_t column = first * RETORT_PANEL, left = weights->outputs - column;
  UNROLL for (int c = 0; c < panels * PARTS; c++) {
    vector bias = NAME(load)(weights->bias + column + (size_t)c * LANES);
    UNROLL for (int r = 0; r < rows; r++) sums[r][c] += bias;
  }
  out += column;
  NAME(store_tile)(out, out_stride, sums, rows, panels, left);
  NAME(finish)(out, out_stride, rows, panels, left, epilogue, 0);
}

// MARK: All tiles of a product

// Calls TILE(rows, panels, first row, first panel) for every tile, with constants for the shape.
#define TILE_ROWS(TILE, panels, row, count, panel)   \
  switch (count) {                                   \
    case 1: TILE(1, panels, row, panel); break;      \
    case 2: TILE(2, panels, row, panel); break;      \
    case 3: TILE(3, panels, row, panel); break;      \
    case 4: TILE(4, panels, row, panel); break;      \
    MORE_ROWS(TILE, panels, row, panel)              \
  }
#if ROWS == 4
#define MORE_ROWS(TILE, panels, row, panel)
#elif ROWS == 6
#define MORE_ROWS(TILE, panels, row, panel)     \
  case 5: TILE(5, panels, row, panel); break;   \
  case 6: TILE(6, panels, row, panel); break;
#else
#define MORE_ROWS(TILE, panels, row, panel)     \
  case 5: TILE(5, panels, row, panel); break;   \
  case 6: TILE(6, panels, row, panel); break;   \
  case 7: TILE(7, panels, row, panel); break;   \
  case 8: TILE(8, panels, row, panel); break;
#endif
#define TILE_PANELS(TILE, panels, panel)                            \
  for (size_t row = 0; row < rows; row += ROWS) {                   \
    size_t count = rows - row < ROWS ? rows - row : ROWS;           \
    TILE_ROWS(TILE, panels, row, count, panel)                      \
  }
#if PANELS == 1
#define TILES(TILE, total) \
  for (size_t panel = 0; panel < total; panel++) TILE_PANELS(TILE, 1, panel)
#else
#define TILES(TILE, total)                                          \
  {                                                                 \
    size_t panel = 0;                                               \
    for (; panel + 3 <= total; panel += 3) TILE_PANELS(TILE, 3, panel)  \
    for (; panel < total; panel++) TILE_PANELS(TILE, 1, panel)      \
  }
#endif

static TARGET void NAME(product_f32)(float *out, size_t out_stride, const float *x,
                                     size_t x_stride, size_t rows, const retort_weights *weights,
                                     retort_epilogue epilogue) {
  size_t total = (weights->outputs + RETORT_PANEL - 1) / RETORT_PANEL;
#define TILE(count, panels, row, panel)                                                   \
  NAME(tile_f32)(count, panels, out + row * out_stride, out_stride, x + row * x_stride,   \
                 x_stride, weights, panel, AHEAD(panels, row, panel), epilogue)
  TILES(TILE, total)
#undef TILE
}

// MARK: Products of two packed matrices

// Rows of a tile, of which a panel holds a whole number.
#define ADD_ROWS (ROWS == 8 ? 8 : 4)

// Adds a tile of sums to `rows` rows and `columns` columns of `out`.
static __attribute__((noinline)) TARGET void NAME(add_tile)(float *out, size_t stride,
                                                            const vector *sums, size_t rows,
                                                            size_t columns) {
  for (size_t r = 0; r < rows; r++, out += stride, sums += WIDTH) {
    const vector *sum = sums;
    size_t c = 0;
    for (; c + LANES <= columns; c += LANES) NAME(store)(out + c, NAME(load)(out + c) + *sum++);
    if (c < columns)
      NAME(store_part)(out + c, NAME(load_part)(out + c, columns - c, 0) + *sum, columns - c);
  }
}

INLINE void NAME(tile_add_f32)(const int panels, float *out, size_t stride, const float *a,
                               size_t rows, const float *b, size_t columns, size_t depth) {
  vector sums[ADD_ROWS][WIDTH];
  UNROLL for (int r = 0; r < ADD_ROWS; r++)
    UNROLL for (int c = 0; c < panels * PARTS; c++) sums[r][c] = (vector){0};
  for (size_t k = 0; k < depth; k++) {
    vector w[WIDTH];
    UNROLL for (int p = 0; p < panels; p++)
      UNROLL for (int c = 0; c < PARTS; c++)
        w[p * PARTS + c] =
            NAME(load)(b + ((size_t)p * depth + k) * RETORT_PANEL + (size_t)c * LANES);
    UNROLL for (int r = 0; r < ADD_ROWS; r++) {
      vector value = NAME(splat)(a[k * RETORT_PANEL + (size_t)r]);
      UNROLL for (int c = 0; c < panels * PARTS; c++)
        sums[r][c] = NAME(fma)(value, w[c], sums[r][c]);
    }
  }
  NAME(add_tile)(out, stride, sums[0], rows, columns);
}

// Calls TILE(panels, first row, rows, first panel, columns) for all tiles.
#define ADD_TILES(TILE, panels, panel)                                             \
  for (size_t row = 0; row < rows; row += ADD_ROWS) {                                  \
    size_t left = columns - panel * RETORT_PANEL, width = panels * RETORT_PANEL;   \
    TILE(panels, row, (rows - row < ADD_ROWS ? rows - row : ADD_ROWS), panel,              \
         (left < width ? left : width));                                           \
  }
#if PANELS == 1
#define ALL_TILES(TILE, total) \
  for (size_t panel = 0; panel < total; panel++) ADD_TILES(TILE, 1, panel)
#else
#define ALL_TILES(TILE, total)                                            \
  {                                                                       \
    size_t panel = 0;                                                     \
    for (; panel + 3 <= total; panel += 3) ADD_TILES(TILE, 3, panel)      \
    for (; panel < total; panel++) ADD_TILES(TILE, 1, panel)              \
  }
#endif

static TARGET void NAME(add_f32)(float *out, size_t out_stride, const float *a, size_t rows,
                                 const float *b, size_t columns, size_t depth) {
  size_t total = (columns + RETORT_PANEL - 1) / RETORT_PANEL, length = depth * RETORT_PANEL;
#define TILE(panels, row, count, panel, width)                                          \
  NAME(tile_add_f32)(panels, out + row * out_stride + panel * RETORT_PANEL, out_stride, \
                     a + row / RETORT_PANEL * length + row % RETORT_PANEL, count,       \
                     b + panel * length, width, depth)
  ALL_TILES(TILE, total)
#undef TILE
}

// MARK: int8

// The codes of 4·LANES values.
INLINE void NAME(store_codes)(uint8_t *codes, const float *x, float inverse, float zero) {
  vector v[4];
  UNROLL for (int part = 0; part < 4; part++)
    v[part] = NAME(fma)(NAME(load)(x + part * LANES), NAME(splat)(inverse), NAME(splat)(zero));
  STORE_CODES(codes, v[0], v[1], v[2], v[3]);
}

static TARGET void NAME(quantize_rows)(uint8_t *codes, size_t stride, float *scales,
                                       int32_t *zeros, const float *x, size_t rows,
                                       size_t columns, size_t x_stride) {
  size_t whole = columns / LANES * LANES, fours = columns / (4 * LANES) * (4 * LANES);
  for (size_t r = 0; r < rows; r++, codes += stride, x += x_stride) {
    // 0 · inf and 0 · NaN are NaN: what is not finite shows in `odd`. Four of each, because every one
    // waits for the one before.
    vector lows[4] = {0}, highs[4] = {0}, odds[4] = {0};
    for (size_t i = 0; i < fours; i += 4 * LANES)
      UNROLL for (int part = 0; part < 4; part++) {
        vector v = NAME(load)(x + i + part * LANES);
        lows[part] = NAME(min)(v, lows[part]);
        highs[part] = NAME(max)(v, highs[part]);
        odds[part] = NAME(fma)(v, NAME(splat)(0), odds[part]);
      }
    vector low = NAME(min)(NAME(min)(lows[0], lows[1]), NAME(min)(lows[2], lows[3]));
    vector high = NAME(max)(NAME(max)(highs[0], highs[1]), NAME(max)(highs[2], highs[3]));
    vector odd = odds[0] + odds[1] + (odds[2] + odds[3]);
    for (size_t i = fours; i < whole; i += LANES) {
      vector v = NAME(load)(x + i);
      low = NAME(min)(v, low);
      high = NAME(max)(v, high);
      odd = NAME(fma)(v, NAME(splat)(0), odd);
    }
    if (whole < columns) {
      vector v = NAME(load_part)(x + whole, columns - whole, 0);
      low = NAME(min)(v, low);
      high = NAME(max)(v, high);
      odd = NAME(fma)(v, NAME(splat)(0), odd);
    }
    float inverse, zero;
    scales[r] =
        retort_quantizer(NAME(smallest)(low), NAME(largest)(high), &inverse, &zero) + NAME(sum)(odd);
    zeros[r] = (int32_t)zero;
    size_t i = 0;
    for (; i + 4 * LANES <= columns; i += 4 * LANES) NAME(store_codes)(codes + i, x + i, inverse, zero);
    if (i < columns) {
      float values[4 * LANES] = {0};
      uint8_t rest[4 * LANES];
      __builtin_memcpy(values, x + i, (columns - i) * sizeof(float));
      NAME(store_codes)(rest, values, inverse, zero);
      __builtin_memcpy(codes + i, rest, columns - i);
    }
    for (size_t i = columns; i < stride; i++) codes[i] = (uint8_t)zero;
  }
}

#ifdef DOT4
#define INLINE_INT8 static inline __attribute__((always_inline)) TARGET_INT8

// With `small` no code is above 127.
INLINE_INT8 void NAME(sums_int8)(integers sums[ROWS][WIDTH], const int rows, const int panels,
                                 const int small, const uint8_t *codes, size_t stride,
                                 const retort_weights *weights, size_t first,
                                 const char *ahead) {
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int c = 0; c < panels * PARTS; c++) sums[r][c] = (integers){0};
  size_t depth = (weights->inputs + 3) / 4 * 4, panel = depth * RETORT_PANEL;
  const int8_t *from = (const int8_t *)weights->panels + first * panel;
  size_t k = 0;
#ifdef DOT8
  for (; small && k + 8 <= depth; k += 8) {
    integers w[2][WIDTH];
    UNROLL for (int step = 0; step < 2; step++)
      UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int c = 0; c < PARTS; c++)
          __builtin_memcpy(&w[step][p * PARTS + c],
                           from + (size_t)p * panel + (k + (size_t)step * 4) * RETORT_PANEL +
                               (size_t)c * LANES * 4,
                           sizeof w[0][0]);
    UNROLL for (int r = 0; r < rows; r++) {
      int32_t eight[2];
      __builtin_memcpy(eight, codes + (size_t)r * stride + k, sizeof eight);
      integers one = (integers){0} + eight[0], other = (integers){0} + eight[1];
      UNROLL for (int c = 0; c < panels * PARTS; c++)
        sums[r][c] = DOT8(sums[r][c], one, w[0][c], other, w[1][c]);
    }
  }
#endif
  for (; k < depth; k += 4) {
    FETCH(ahead, k * RETORT_PANEL);
    integers w[WIDTH];
    UNROLL for (int p = 0; p < panels; p++)
      UNROLL for (int c = 0; c < PARTS; c++)
        __builtin_memcpy(&w[p * PARTS + c],
                         from + (size_t)p * panel + k * RETORT_PANEL + (size_t)c * LANES * 4,
                         sizeof w[0]);
    UNROLL for (int r = 0; r < rows; r++) {
      int32_t four;
      __builtin_memcpy(&four, codes + (size_t)r * stride + k, sizeof four);
      UNROLL for (int c = 0; c < panels * PARTS; c++)
        sums[r][c] = DOT4(sums[r][c], (integers){0} + four, w[c]);
    }
  }
}

INLINE_INT8 void NAME(tile_int8)(const int rows, const int panels, float *out, size_t out_stride,
                                 const uint8_t *codes, size_t stride, const float *scales,
                                 const int32_t *zeros, const retort_weights *weights, size_t first,
                                 size_t next, retort_epilogue epilogue) {
  integers sums[ROWS][WIDTH];
  size_t panel = (weights->inputs + 3) / 4 * 4 * RETORT_PANEL;
  NAME(sums_int8)(sums, rows, panels, 0, codes, stride, weights, first,
                  (const char *)weights->panels + next * panel);
  size_t column = first * RETORT_PANEL, left = weights->outputs - column;
  out += column;
  vector values[ROWS][WIDTH];
  UNROLL for (int c = 0; c < panels * PARTS; c++) {
    size_t at = column + (size_t)c * LANES;
    integers shift;
    __builtin_memcpy(&shift, weights->sums + at, sizeof shift);
    vector unit = NAME(load)(weights->scales + at), bias = NAME(load)(weights->bias + at);
    UNROLL for (int r = 0; r < rows; r++) {
      vector exact = __builtin_convertvector(sums[r][c] - shift * (zeros[r] - DOT4_OFFSET), vector);
      values[r][c] = NAME(fma)(exact, unit * scales[r], bias);
    }
  }
  NAME(store_tile)(out, out_stride, values, rows, panels, left);
  NAME(finish)(out, out_stride, rows, panels, left, epilogue, 1);
}

static TARGET_INT8 void NAME(product_int8)(float *out, size_t out_stride, const uint8_t *codes,
                                           size_t stride, const float *scales,
                                           const int32_t *zeros, size_t rows,
                                           const retort_weights *weights,
                                           retort_epilogue epilogue) {
  size_t total = (weights->outputs + RETORT_PANEL - 1) / RETORT_PANEL;
#define TILE(count, panels, row, panel)                                                       \
  NAME(tile_int8)(count, panels, out + row * out_stride, out_stride, codes + row * stride,    \
                  stride, scales + row, zeros + row, weights, panel, AHEAD(panels, row, panel),   \
                  epilogue)
  TILES(TILE, total)
#undef TILE
}
#endif

// MARK: bf16 in hardware

#ifdef DOT2
#define INLINE_BF16 static inline __attribute__((always_inline)) TARGET_BF16

INLINE_BF16 void NAME(tile_bf16)(const int rows, const int panels, float *out, size_t out_stride,
                                 const uint16_t *x, size_t stride, const retort_weights *weights,
                                 size_t first, size_t next, retort_epilogue epilogue) {
  vector sums[ROWS][WIDTH];
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int c = 0; c < panels * PARTS; c++) sums[r][c] = (vector){0};
  size_t depth = (weights->inputs + 1) / 2 * 2, panel = depth * RETORT_PANEL;
  const uint16_t *from = (const uint16_t *)weights->panels + first * panel;
  const char *ahead = (const char *)((const uint16_t *)weights->panels + next * panel);
  for (size_t k = 0; k < depth; k += 2) {
    FETCH(ahead, k * RETORT_PANEL * sizeof(uint16_t));
    integers w[WIDTH];
    UNROLL for (int p = 0; p < panels; p++)
      UNROLL for (int c = 0; c < PARTS; c++)
        __builtin_memcpy(&w[p * PARTS + c],
                         from + (size_t)p * panel + k * RETORT_PANEL + (size_t)c * LANES * 2,
                         sizeof w[0]);
    UNROLL for (int r = 0; r < rows; r++) {
      int32_t two;
      __builtin_memcpy(&two, x + (size_t)r * stride + k, sizeof two);
      UNROLL for (int c = 0; c < panels * PARTS; c++)
        sums[r][c] = DOT2(sums[r][c], (integers){0} + two, w[c]);
    }
  }
  size_t column = first * RETORT_PANEL, left = weights->outputs - column;
  out += column;
  UNROLL for (int c = 0; c < panels * PARTS; c++) {
    vector bias = NAME(load)(weights->bias + column + (size_t)c * LANES);
    UNROLL for (int r = 0; r < rows; r++) sums[r][c] += bias;
  }
  NAME(store_tile)(out, out_stride, sums, rows, panels, left);
  NAME(finish)(out, out_stride, rows, panels, left, epilogue, 1);
}

static TARGET_BF16 void NAME(product_bf16)(float *out, size_t out_stride, const uint16_t *x,
                                           size_t stride, size_t rows,
                                           const retort_weights *weights,
                                           retort_epilogue epilogue) {
  size_t total = (weights->outputs + RETORT_PANEL - 1) / RETORT_PANEL;
#define TILE(count, panels, row, panel)                                                       \
  NAME(tile_bf16)(count, panels, out + row * out_stride, out_stride, x + row * stride, stride, \
                  weights, panel, AHEAD(panels, row, panel), epilogue)
  TILES(TILE, total)
#undef TILE
}
#endif

#ifdef DOT2
INLINE_BF16 void NAME(tile_add_bf16)(const int panels, float *out, size_t stride,
                                     const uint16_t *a, size_t rows, const uint16_t *b,
                                     size_t columns, size_t depth) {
  vector sums[ADD_ROWS][WIDTH];
  UNROLL for (int r = 0; r < ADD_ROWS; r++)
    UNROLL for (int c = 0; c < panels * PARTS; c++) sums[r][c] = (vector){0};
  for (size_t k = 0; k < depth; k += 2) {
    integers w[WIDTH];
    UNROLL for (int p = 0; p < panels; p++)
      UNROLL for (int c = 0; c < PARTS; c++)
        __builtin_memcpy(&w[p * PARTS + c],
                         b + ((size_t)p * depth + k) * RETORT_PANEL + (size_t)c * LANES * 2,
                         sizeof w[0]);
    UNROLL for (int r = 0; r < ADD_ROWS; r++) {
      int32_t two;
      __builtin_memcpy(&two, a + k * RETORT_PANEL + (size_t)r * 2, sizeof two);
      UNROLL for (int c = 0; c < panels * PARTS; c++)
        sums[r][c] = DOT2(sums[r][c], (integers){0} + two, w[c]);
    }
  }
  NAME(add_tile)(out, stride, sums[0], rows, columns);
}

static TARGET_BF16 void NAME(add_bf16)(float *out, size_t out_stride, const uint16_t *a,
                                       size_t rows, const uint16_t *b, size_t columns,
                                       size_t inputs) {
  size_t depth = (inputs + 1) / 2 * 2;
  size_t total = (columns + RETORT_PANEL - 1) / RETORT_PANEL, length = depth * RETORT_PANEL;
#define TILE(panels, row, count, panel, width)                                           \
  NAME(tile_add_bf16)(panels, out + row * out_stride + panel * RETORT_PANEL, out_stride, \
                      a + row / RETORT_PANEL * length + row % RETORT_PANEL * 2, count,   \
                      b + panel * length, width, depth)
  ALL_TILES(TILE, total)
#undef TILE
}
#endif

// MARK: Attention

// row[i] becomes exp(scale·(row[i] − max)) for i < count and 0 up to whole vectors; gives 1/sum.
INLINE float NAME(exponentials)(float *row, size_t count, float scale) {
  size_t whole = count / LANES * LANES, rest = count - whole;
  vector largest = NAME(splat)(row[0]);
  for (size_t i = 0; i < whole; i += LANES) largest = NAME(max)(NAME(load)(row + i), largest);
  if (rest) largest = NAME(max)(NAME(load_part)(row + whole, rest, row[0]), largest);
  float top = NAME(largest)(largest);
  vector sums = {0}, shift = NAME(splat)(-top * scale);
  for (size_t i = 0; i < whole; i += LANES) {
    vector e = NAME(exp)(NAME(fma)(NAME(load)(row + i), NAME(splat)(scale), shift));
    NAME(store)(row + i, e);
    sums += e;
  }
  float total = NAME(sum)(sums);
  if (rest) {
    vector e = NAME(exp)(
        NAME(fma)(NAME(load_part)(row + whole, rest, top), NAME(splat)(scale), shift));
    for (size_t lane = 0; lane < LANES; lane++) {
      row[whole + lane] = lane < rest ? e[lane] : 0;
      total += lane < rest ? e[lane] : 0;
    }
  }
  return 1.0f / total;
}

// scores[r][j] = queries[r] · keys[j] for the panels of keys.
INLINE void NAME(tile_scores)(const int rows, const int panels, float *scores, size_t scores_stride,
                              const float *queries, size_t stride, const float *keys, size_t size,
                              size_t first) {
  vector sums[ROWS][WIDTH];
  size_t panel = size * RETORT_PANEL;
  NAME(sums_f32)(sums, rows, panels, queries, stride, keys + first * panel, panel, size, 0);
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int c = 0; c < panels * PARTS; c++)
      NAME(store)(scores + (size_t)r * scores_stride + first * RETORT_PANEL + (size_t)c * LANES,
                  sums[r][c]);
}

// out[r] = inverse[r] · Σⱼ weights[r][j] values[j] for the panels of values.
INLINE void NAME(tile_mix)(const int rows, const int panels, float *out, size_t out_stride,
                           const float *weights, size_t stride, const float *inverse,
                           const float *values, size_t length, size_t size, size_t first) {
  vector sums[ROWS][WIDTH];
  size_t panel = length * RETORT_PANEL, column = first * RETORT_PANEL;
  NAME(sums_f32)(sums, rows, panels, weights, stride, values + first * panel, panel, length, 0);
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int c = 0; c < panels * PARTS; c++) sums[r][c] *= inverse[r];
  NAME(store_tile)(out + column, out_stride, sums, rows, panels, size - column);
}

static TARGET void NAME(attention)(float *out, size_t out_stride, const float *qkv, size_t stride,
                                   size_t length, size_t attended, size_t heads, size_t size,
                                   float scale, float *scratch) {
  size_t key_panels = (attended + RETORT_PANEL - 1) / RETORT_PANEL;
  size_t value_panels = (size + RETORT_PANEL - 1) / RETORT_PANEL;
  size_t scores_stride = key_panels * RETORT_PANEL, width = heads * size;
  float *keys = scratch;
  float *values = keys + key_panels * RETORT_PANEL * size;
  float *scores = values + value_panels * RETORT_PANEL * attended;
  for (size_t head = 0; head < heads; head++) {
    const float *q = qkv + head * size, *k = q + width, *v = k + width;
    for (size_t j = 0; j < key_panels * RETORT_PANEL; j++) {
      float *to = keys + j / RETORT_PANEL * RETORT_PANEL * size + j % RETORT_PANEL;
      if (j < attended) {
        for (size_t i = 0; i < size; i++) to[i * RETORT_PANEL] = k[j * stride + i];
      } else {
        for (size_t i = 0; i < size; i++) to[i * RETORT_PANEL] = 0;
      }
    }
    for (size_t p = 0; p < value_panels; p++) {
      float *to = values + p * RETORT_PANEL * attended;
      size_t left = size - p * RETORT_PANEL < RETORT_PANEL ? size - p * RETORT_PANEL : RETORT_PANEL;
      for (size_t j = 0; j < attended; j++, to += RETORT_PANEL) {
        const float *from = v + j * stride + p * RETORT_PANEL;
        if (left == RETORT_PANEL) {
          __builtin_memcpy(to, from, RETORT_PANEL * sizeof(float));
          continue;
        }
        __builtin_memcpy(to, from, left * sizeof(float));
        for (size_t i = left; i < RETORT_PANEL; i++) to[i] = 0;
      }
    }
    for (size_t start = 0; start < length; start += ROWS) {
      size_t rows = length - start < ROWS ? length - start : ROWS;
      const float *queries = q + start * stride;
      float inverse[ROWS];
#define TILE(count, panels, row, panel) \
  NAME(tile_scores)(count, panels, scores, scores_stride, queries, stride, keys, size, panel)
      TILES(TILE, key_panels)
#undef TILE
      for (size_t r = 0; r < rows; r++)
        inverse[r] = NAME(exponentials)(scores + r * scores_stride, attended, scale);
#define TILE(count, panels, row, panel)                                                   \
  NAME(tile_mix)(count, panels, out + start * out_stride + head * size, out_stride, scores, \
                 scores_stride, inverse, values, attended, size, panel)
      TILES(TILE, value_panels)
#undef TILE
    }
  }
}

// MARK: MaxSim

// best[i] = max(best[i], qᵢ·xᵣ) for the queries and rows of a tile.
INLINE void NAME(tile_max)(const int rows, const int panels, float *best, const float *x,
                           size_t x_stride, const retort_weights *query, size_t first) {
  vector sums[ROWS][WIDTH];
  size_t panel = query->inputs * RETORT_PANEL;
  NAME(sums_f32)(sums, rows, panels, x, x_stride, (const float *)query->panels + first * panel,
                 panel, query->inputs, 0);
  best += first * RETORT_PANEL;
  UNROLL for (int c = 0; c < panels * PARTS; c++) {
    vector highest = NAME(load)(best + (size_t)c * LANES);
    UNROLL for (int r = 0; r < rows; r++) highest = NAME(max)(sums[r][c], highest);
    NAME(store)(best + (size_t)c * LANES, highest);
  }
}

static TARGET void NAME(max_products)(float *best, const retort_weights *query, const float *x,
                                      size_t x_stride, size_t rows) {
  size_t total = (query->outputs + RETORT_PANEL - 1) / RETORT_PANEL;
  for (size_t i = 0; i < total * RETORT_PANEL; i++) best[i] = -INFINITY;
#define TILE(count, panels, row, panel) \
  NAME(tile_max)(count, panels, best, x + row * x_stride, x_stride, query, panel)
  TILES(TILE, total)
#undef TILE
}

#ifdef DOT4
// The sums of `tile_int8`, of which every row is scaled and the largest of each query kept.
INLINE_INT8 void NAME(tile_max_codes)(const int rows, const int panels, const int small,
                                      float *best, const uint8_t *codes, size_t stride,
                                      const float *scales, const int32_t *zeros,
                                      const retort_weights *query, size_t first) {
  integers sums[ROWS][WIDTH];
  NAME(sums_int8)(sums, rows, panels, small, codes, stride, query, first, 0);
  size_t column = first * RETORT_PANEL;
  UNROLL for (int c = 0; c < panels * PARTS; c++) {
    size_t at = column + (size_t)c * LANES;
    integers shift;
    __builtin_memcpy(&shift, query->sums + at, sizeof shift);
    vector highest = NAME(load)(best + at);
    UNROLL for (int r = 0; r < rows; r++) {
      integers exact = sums[r][c] - shift * (zeros[r] - DOT4_OFFSET);
      highest = NAME(max)(__builtin_convertvector(exact, vector) * scales[r], highest);
    }
    NAME(store)(best + at, highest);
  }
}

INLINE_INT8 void NAME(max_over_codes)(const int small, float *best, const retort_weights *query,
                                      const uint8_t *codes, size_t stride, const float *scales,
                                      const int32_t *zeros, size_t rows) {
  size_t total = (query->outputs + RETORT_PANEL - 1) / RETORT_PANEL;
  for (size_t i = 0; i < total * RETORT_PANEL; i++) best[i] = -INFINITY;
#define TILE(count, panels, row, panel)                                                       \
  NAME(tile_max_codes)(count, panels, small, best, codes + row * stride, stride, scales + row, \
                       zeros + row, query, panel)
  TILES(TILE, total)
#undef TILE
}

static TARGET_INT8 void NAME(max_codes)(float *best, const retort_weights *query,
                                        const uint8_t *codes, size_t stride, const float *scales,
                                        const int32_t *zeros, size_t rows) {
  NAME(max_over_codes)(0, best, query, codes, stride, scales, zeros, rows);
}

#ifdef DOT8
static TARGET_INT8 void NAME(max_small_codes)(float *best, const retort_weights *query,
                                              const uint8_t *codes, size_t stride,
                                              const float *scales, const int32_t *zeros,
                                              size_t rows) {
  NAME(max_over_codes)(1, best, query, codes, stride, scales, zeros, rows);
}
#endif
#endif

#undef vector
#undef bits
#undef integers
#undef INLINE
#undef KERNEL
#undef LANES
#undef TARGET
#undef NAME
