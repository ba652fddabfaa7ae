#include "retort_cpu.h"

#include <stdlib.h>
#include <string.h>
#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

bool retort_level_available(retort_level level) {
  switch (level) {
    case RETORT_LEVEL_SCALAR:
      return true;
#if defined(__x86_64__)
    case RETORT_LEVEL_AVX2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case RETORT_LEVEL_AVX512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#elif defined(__aarch64__)
    case RETORT_LEVEL_NEON:
      return true;
#endif
    default:
      return false;
  }
}

bool retort_cpu_has_vnni(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

bool retort_cpu_has_bf16(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool retort_cpu_has_dotprod(void) {
#if defined(__aarch64__) && defined(__APPLE__)
  return true;
#elif defined(__aarch64__) && defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
  return false;
#endif
}

const char *retort_level_name(retort_level level) {
  switch (level) {
    case RETORT_LEVEL_NEON: return "neon";
    case RETORT_LEVEL_AVX2: return "avx2";
    case RETORT_LEVEL_AVX512: return "avx512";
    default: return "scalar";
  }
}

static retort_level chosen = RETORT_LEVEL_SCALAR;

__attribute__((constructor)) static void choose(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  const char *wanted = getenv("RETORT_KERNELS");
  for (int level = RETORT_LEVEL_AVX512; level >= RETORT_LEVEL_SCALAR; level--) {
    if (!retort_level_available((retort_level)level)) continue;
    if (wanted && *wanted && strcmp(wanted, retort_level_name((retort_level)level)) != 0) continue;
    chosen = (retort_level)level;
    return;
  }
  // An unknown or unavailable name: fall back to the widest level rather than to a slow surprise.
  for (int level = RETORT_LEVEL_AVX512; level >= RETORT_LEVEL_SCALAR; level--) {
    if (retort_level_available((retort_level)level)) {
      chosen = (retort_level)level;
      return;
    }
  }
}

retort_level retort_level_in_use(void) { return chosen; }
