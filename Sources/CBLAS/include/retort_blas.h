// The matrix product of single-precision floats of the system's BLAS.
//
// The library is opened at the first product instead of when the program starts: OpenBLAS measures
// the machine and starts threads when it is loaded, which would take a search longer than its answer,
// and a search multiplies with kernels of its own. Products of training and of exact scans go here.
#ifndef RETORT_BLAS_H
#define RETORT_BLAS_H

#include <stdbool.h>

/// C = alpha A B + beta C in row-major order, A being m × k, B k × n and C m × n; A and B are given
/// transposed where that is said. `lda`, `ldb` and `ldc` are the distances of rows as they lie.
///
/// Works on the calling thread alone. Without a BLAS library, which is said once on standard error,
/// plain loops do the work, many times slower.
void retort_sgemm(bool transposed_a, bool transposed_b, int m, int n, int k, float alpha,
                  const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

/// The same by plain loops; what the library is tested against.
void retort_sgemm_reference(bool transposed_a, bool transposed_b, int m, int n, int k, float alpha,
                            const float *a, int lda, const float *b, int ldb, float beta, float *c,
                            int ldc);

#endif
