// What must hold for every input.
#ifndef PREDICTD_TESTS_FUZZ_REQUIRE_H_
#define PREDICTD_TESTS_FUZZ_REQUIRE_H_

#include <cstdio>
#include <cstdlib>

namespace predictd {

// Ends the process, which is how libFuzzer learns of an error, unless `holds`.
inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_FUZZ_REQUIRE_H_
