// Calls the version of a kernel that belongs to `level`: `scalar_NAME`, `avx2_NAME`, `avx512_NAME`
// or `neon_NAME` of the including file. A level this machine lacks falls back to the scalar one.
#ifndef RETORT_DISPATCH_H
#define RETORT_DISPATCH_H

#include "retort_cpu.h"

#if defined(__x86_64__)
#define DISPATCH(kernel, ...)                                             \
  if (!retort_level_available(level)) level = RETORT_LEVEL_SCALAR;        \
  switch (level) {                                                        \
    case RETORT_LEVEL_AVX512: return avx512_##kernel(__VA_ARGS__);        \
    case RETORT_LEVEL_AVX2: return avx2_##kernel(__VA_ARGS__);            \
    default: return scalar_##kernel(__VA_ARGS__);                         \
  }
#elif defined(__aarch64__)
#define DISPATCH(kernel, ...)                                             \
  switch (level) {                                                        \
    case RETORT_LEVEL_NEON: return neon_##kernel(__VA_ARGS__);            \
    default: return scalar_##kernel(__VA_ARGS__);                         \
  }
#else
#define DISPATCH(kernel, ...) (void)level; return scalar_##kernel(__VA_ARGS__);
#endif

#endif
