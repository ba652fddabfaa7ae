#include "retort_blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

// Of cblas.h, whose numbers are the standard's.
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };

typedef void (*sgemm_function)(int, int, int, int, int, int, float, const float *, int,
                               const float *, int, float, float *, int);

static sgemm_function sgemm;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_library(void) {
  static const char *const names[] = {
#if defined(__APPLE__)
      "/System/Library/Frameworks/Accelerate.framework/Accelerate",
#endif
      "libopenblas.so.0", "libopenblas.so", "libcblas.so.3", "libblas.so.3",
  };
  for (size_t i = 0; i < sizeof names / sizeof *names && !sgemm; i++) {
    void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) continue;
    void *function = dlsym(library, "cblas_sgemm");
    if (!function) {
      dlclose(library);
      continue;
    }
    memcpy(&sgemm, &function, sizeof sgemm);
    // Whole parts of the work run in parallel instead, and results must not depend on how many.
    void (*set_threads)(int) = NULL;
    function = dlsym(library, "openblas_set_num_threads");
    memcpy(&set_threads, &function, sizeof set_threads);
    if (set_threads) set_threads(1);
  }
  if (!sgemm) {
    fputs("retort: warning: no BLAS library was found; exact scans, topic clusters and the training "
          "of TK are many times slower without one (Debian: apt-get install libopenblas0)\n",
          stderr);
  }
}

void retort_sgemm_reference(bool transposed_a, bool transposed_b, int m, int n, int k, float alpha,
                            const float *a, int lda, const float *b, int ldb, float beta, float *c,
                            int ldc) {
  for (int i = 0; i < m; i++) {
    float *row = c + (ptrdiff_t)i * ldc;
    for (int j = 0; j < n; j++) row[j] = beta == 0 ? 0 : beta * row[j];
    for (int l = 0; l < k; l++) {
      float x = alpha * (transposed_a ? a[(ptrdiff_t)l * lda + i] : a[(ptrdiff_t)i * lda + l]);
      for (int j = 0; j < n; j++) {
        row[j] += x * (transposed_b ? b[(ptrdiff_t)j * ldb + l] : b[(ptrdiff_t)l * ldb + j]);
      }
    }
  }
}

void retort_sgemm(bool transposed_a, bool transposed_b, int m, int n, int k, float alpha,
                  const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc) {
  pthread_once(&once, open_library);
  if (!sgemm) {
    retort_sgemm_reference(transposed_a, transposed_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    return;
  }
  sgemm(ROW_MAJOR, transposed_a ? TRANSPOSE : NO_TRANSPOSE, transposed_b ? TRANSPOSE : NO_TRANSPOSE,
        m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
