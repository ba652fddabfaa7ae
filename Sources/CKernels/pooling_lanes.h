// The kernels of retort_pooling.h over vectors of LANES floats, written once with the compiler's vector
// types and included once per instruction set with LANES, TARGET and NAME() defined. Deliberately no
// include guard.

#define KEEP_LANES
#include "activation_lanes.h"

#define vector NAME(vector)
#define INLINE static inline __attribute__((always_inline)) TARGET
#define KERNEL static TARGET

INLINE vector NAME(bell)(vector distance, float sharpness) {
  return NAME(exp)(distance * distance * -sharpness);
}

KERNEL void NAME(kernel_counts)(float *counts, const float *x, size_t count, const float *means,
                                const float *sharpness, size_t kernels) {
  size_t whole = count / LANES * LANES, rest = count - whole;
  for (size_t k = 0; k < kernels; k++) {
    vector sums = {0};
    for (size_t j = 0; j < whole; j += LANES)
      sums += NAME(bell)(NAME(load)(x + j) - means[k], sharpness[k]);
    float total = NAME(sum)(sums);
    if (rest) {
      vector last = NAME(bell)(NAME(load_part)(x + whole, rest, 0) - means[k], sharpness[k]);
      for (size_t lane = 0; lane < rest; lane++) total += last[lane];
    }
    counts[k] = total;
  }
}

INLINE vector NAME(slopes_lanes)(vector x, const float *means, const float *sharpness,
                                 const float *weights, size_t kernels) {
  vector slope = {0};
  for (size_t k = 0; k < kernels; k++) {
    vector distance = x - means[k];
    vector bell = NAME(bell)(distance, sharpness[k]);
    slope = NAME(fma)(distance * bell, NAME(splat)(-2.0f * sharpness[k] * weights[k]), slope);
  }
  return slope;
}

KERNEL void NAME(kernel_slopes)(float *x, size_t count, const float *means, const float *sharpness,
                                const float *weights, size_t kernels) {
  size_t j = 0;
  for (; j + LANES <= count; j += LANES)
    NAME(store)(x + j, NAME(slopes_lanes)(NAME(load)(x + j), means, sharpness, weights, kernels));
  if (j < count) {
    vector last = NAME(load_part)(x + j, count - j, 0);
    NAME(store_part)(x + j, NAME(slopes_lanes)(last, means, sharpness, weights, kernels), count - j);
  }
}

#undef vector
#undef INLINE
#undef KERNEL
#undef LANES
#undef TARGET
#undef NAME
#undef KEEP_LANES
