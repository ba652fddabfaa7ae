#ifndef RETORT_CPU_H
#define RETORT_CPU_H

#include <stdbool.h>

// Instruction sets that kernels are written for, from the plainest to the widest of a family.
typedef enum {
  RETORT_LEVEL_SCALAR = 0,
  RETORT_LEVEL_NEON = 1,
  RETORT_LEVEL_AVX2 = 2,    // with FMA
  RETORT_LEVEL_AVX512 = 3,  // F, BW, DQ, VL
} retort_level;

// Whether this CPU can run kernels of `level`.
bool retort_level_available(retort_level level);

// The level in use: the widest this CPU has, or the one the environment variable RETORT_KERNELS
// names (scalar, neon, avx2, avx512) if this CPU has it. Decided once.
retort_level retort_level_in_use(void);

// "scalar", "neon", "avx2" or "avx512".
const char *retort_level_name(retort_level level);

// Instructions that only some CPUs of a level have.
bool retort_cpu_has_vnni(void);     // u8 × s8 dot products, beside AVX-512
bool retort_cpu_has_bf16(void);     // bf16 dot products, beside AVX-512
bool retort_cpu_has_dotprod(void);  // s8 dot products, beside NEON

#endif
