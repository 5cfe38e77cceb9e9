#ifndef PREDICTD_TESTS_FAKES_FAILING_ALLOCATIONS_H_
#define PREDICTD_TESTS_FAKES_FAILING_ALLOCATIONS_H_

#include <cstdint>

namespace predictd {

// While it lives, an allocation of this thread fails: the one after so many others, and with `from_then_on` all that
// follow. Only in binaries that link failing_allocations.cc, which replaces operator new.
class FailingAllocations {
 public:
  explicit FailingAllocations(int64_t after, bool from_then_on = false);
  ~FailingAllocations();
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;

  // Whether any has failed. If not, there were no more than that.
  bool failed() const;

  // How many allocations of this thread it has not given back.
  static int64_t Live();

  // While it lives, this thread's allocations neither fail nor count: those of the test itself.
  class Pause {
   public:
    Pause();
    ~Pause();
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;
  };
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_FAILING_ALLOCATIONS_H_
