#ifndef PREDICTD_SERVER_SAMPLING_RANDOM_STREAM_H_
#define PREDICTD_SERVER_SAMPLING_RANDOM_STREAM_H_

#include <cstdint>

namespace predictd {

// The random numbers of one sequence: the n-th number depends only on the seed and n, on any machine. SplitMix64
// (Steele, Lea and Flood, 2014), from a start that is itself mixed, so that neighbouring seeds have nothing in common.
class RandomStream {
 public:
  explicit RandomStream(uint64_t seed) : state_(Mix(seed + kStep)) {}

  // Uniform in [0, 1), a multiple of 2^-53.
  double Next() {
    state_ += kStep;
    return static_cast<double>(Mix(state_) >> 11) * 0x1p-53;
  }

 private:
  // Odd, and 2^64 divided by the golden ratio.
  static constexpr uint64_t kStep = 0x9e3779b97f4a7c15;

  static uint64_t Mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
  }

  uint64_t state_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SAMPLING_RANDOM_STREAM_H_
