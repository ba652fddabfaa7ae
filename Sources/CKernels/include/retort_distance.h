#ifndef RETORT_DISTANCE_H
#define RETORT_DISTANCE_H

#include <stddef.h>
#include <stdint.h>

#include "retort_cpu.h"

// Inner product of two vectors of `dimension` floats.
float retort_dot_f32(const float *a, const float *b, size_t dimension);

// scores[i] = query . base[ids[i] * dimension ...], for i in 0 ..< count; later vectors are
// prefetched while earlier ones are multiplied. Each score has the same bits as retort_dot_f32.
void retort_dot_many_f32(const float *query, const float *base, size_t dimension,
                         const uint32_t *ids, size_t count, float *scores);

// The kernel of one instruction set, or NULL where this CPU or build lacks it (tests, forcing).
typedef float (*retort_dot_f32_function)(const float *a, const float *b, size_t dimension);
retort_dot_f32_function retort_dot_f32_at(retort_level level);

// The kernels themselves; call them only where retort_level_available says so.
float retort_dot_f32_scalar(const float *a, const float *b, size_t dimension);
float retort_dot_f32_avx2(const float *a, const float *b, size_t dimension);
float retort_dot_f32_avx512(const float *a, const float *b, size_t dimension);
float retort_dot_f32_neon(const float *a, const float *b, size_t dimension);

#endif
