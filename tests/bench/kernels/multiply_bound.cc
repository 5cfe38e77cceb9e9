#include "tests/bench/kernels/multiply_bound.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace predictd {

#if defined(__x86_64__)
namespace {

// More than the latency of an instruction times those that begin in a cycle; all fit into registers.
constexpr int kChains = 12;
constexpr int64_t kRounds = 4000;

[[gnu::target("avx2,fma")]] int64_t Avx2Integers() {
  __m256i chains[kChains] = {};
  for (int64_t round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m256i& chain : chains) asm volatile("vpmaddubsw %0, %0, %0" : "+x"(chain));
  }
  return kRounds * kChains * 32;
}

[[gnu::target("avx2,fma")]] int64_t Avx2Floats() {
  __m256 chains[kChains] = {};
  for (int64_t round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m256& chain : chains) asm volatile("vfmadd231ps %0, %0, %0" : "+x"(chain));
  }
  return kRounds * kChains * 8;
}

[[gnu::target("avx512f,avx512vnni")]] int64_t Avx512Integers() {
  __m512i chains[kChains] = {};
  for (int64_t round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m512i& chain : chains) asm volatile("vpdpbusd %0, %0, %0" : "+v"(chain));
  }
  return kRounds * kChains * 64;
}

[[gnu::target("avx512f")]] int64_t Avx512Floats() {
  __m512 chains[kChains] = {};
  for (int64_t round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m512& chain : chains) asm volatile("vfmadd231ps %0, %0, %0" : "+v"(chain));
  }
  return kRounds * kChains * 16;
}

}  // namespace

int64_t MultiplyOnRegisters(KernelSet set, bool integers) {
  if (set == KernelSet::kAvx512) return integers ? Avx512Integers() : Avx512Floats();
  if (set == KernelSet::kAvx2) return integers ? Avx2Integers() : Avx2Floats();
  return 0;
}
#else
int64_t MultiplyOnRegisters(KernelSet, bool) {
  return 0;
}
#endif

}  // namespace predictd
