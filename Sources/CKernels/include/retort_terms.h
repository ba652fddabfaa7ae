#ifndef RETORT_TERMS_H
#define RETORT_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "retort_cpu.h"

// Term vectors compressed to the number of a centroid and a few bits a component (Santhanam et al.
// 2022, arXiv:2112.01488). A component's bits are written lowest first from the highest bit of a byte
// down; a row starts at a byte.

typedef struct {
  size_t dimension;
  size_t count;                // centroids
  const uint16_t *centroids;   // count × dimension, bf16
  const float *weights;        // 2^bits: what the residual of a bucket is taken for
  int bits;                    // 1, 2 or 4
  int id_bytes;                // 2 or 3, the bytes of a centroid's number, lowest first
  bool normalizes;             // whether decoded rows are scaled to length 1
} retort_term_book;

// Bytes of a row's residuals.
size_t retort_term_bytes(size_t dimension, int bits);

// out[r][i] = centroid + weight of the bucket, for `rows` rows; false where a row names a centroid
// that is none, and then `out` is not complete.
bool retort_decode_terms(retort_level level, float *out, const uint8_t *ids,
                         const uint8_t *residuals, size_t rows, const retort_term_book *book);

// The same book in 7 bits, for retort_max_sim_int8. Components are taken in the order of `fields` =
// 8 / bits: component fields · i + f lies at f · bytes + i, so that the bits of a vector of bytes become
// components that lie side by side. Rows are of whole bytes, a multiple of 16.
typedef struct {
  size_t dimension;
  size_t count;
  const int8_t *centroids;  // count × dimension, in this order; a value is code · step
  int8_t weights[16];       // of the buckets, repeated; with any centroid's code they stay in ±63
  float step;
  int bits;
  int id_bytes;
  bool normalizes;
} retort_code_book;

// Whether rows can be taken in that order.
bool retort_can_code_terms(size_t dimension, int bits);

// codes[r] = 64 + centroid + weight, and scales[r] what they are multiplied with: the step, or the
// inverse length. The integers are the same for every instruction set. False as above.
bool retort_code_terms(retort_level level, uint8_t *codes, float *scales, const uint8_t *ids,
                       const uint8_t *residuals, size_t rows, const retort_code_book *book);

// Writes the residuals of a row: for each component the number of cutoffs below it.
void retort_encode_residual(uint8_t *residuals, const float *values, const uint16_t *centroid,
                            size_t dimension, const float *cutoffs, int bits);

// IEEE half precision, rounded to nearest even; what is too large becomes infinite.
void retort_to_half(uint16_t *out, const float *values, size_t count);
void retort_from_half(retort_level level, float *out, const uint16_t *values, size_t count);

// values[i] = scale · (codes[i] − 128)
void retort_from_codes(float *out, const uint8_t *codes, float scale, size_t count);
// The inverse, with the smallest scale; a row that is not finite gives NaN.
float retort_to_codes(uint8_t *codes, const float *values, size_t count);

void retort_widen_bf16(float *out, const uint16_t *values, size_t count);

// Scores over centroids alone. `table` has a row for each centroid: its products with the tokens of a
// query, at `stride`, a multiple of 8.

// For rows first ..< first + count of the table: highest[c] = the largest product of row c, and the
// best `cells` rows of each token, best first (of equals the lower number), in values and numbers
// [tokens × cells]; both hold the best of earlier calls, or -inf.
void retort_top_cells(const float *table, size_t stride, size_t tokens, size_t first, size_t count,
                      float *highest, size_t cells, float *values, uint32_t *numbers);

// Σ over the tokens of the largest product with the centroids of a passage, of those whose highest
// product reaches `threshold`; -inf where none does, NaN where one is not below `centroids`. `best`
// holds `stride` floats.
float retort_approximate(retort_level level, const float *table, size_t stride, size_t tokens,
                         const float *highest, size_t centroids, float threshold,
                         const uint8_t *ids, size_t count, int id_bytes, float *best);

#endif
