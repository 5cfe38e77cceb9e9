#ifndef PREDICTD_TESTS_BENCH_KERNELS_MULTIPLY_BOUND_H_
#define PREDICTD_TESTS_BENCH_KERNELS_MULTIPLY_BOUND_H_

#include <cstdint>

#include "server/kernels/kernels.h"

namespace predictd {

// Runs the instruction that a kernel set multiplies with again and again, on registers, without waiting for a result:
// integers as for matrices of integers, or floats. Returns how many numbers it has multiplied; 0 for the portable set,
// where the compiler chooses.
int64_t MultiplyOnRegisters(KernelSet set, bool integers);

}  // namespace predictd

#endif  // PREDICTD_TESTS_BENCH_KERNELS_MULTIPLY_BOUND_H_
