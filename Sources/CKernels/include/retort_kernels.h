// Leaf kernels: pure functions over memory the caller owns, dispatched at run time to the best
// instruction set of this CPU. Every kernel has a scalar reference it is tested against.
// (retort_mapping.h is no kernel but a signal handler, which has to be C.)
#ifndef RETORT_KERNELS_H
#define RETORT_KERNELS_H

#include "retort_activation.h"
#include "retort_checksum.h"
#include "retort_codes.h"
#include "retort_cpu.h"
#include "retort_distance.h"
#include "retort_mapping.h"
#include "retort_matrix.h"
#include "retort_terms.h"
#include "retort_pooling.h"
#include "retort_training.h"

#endif
