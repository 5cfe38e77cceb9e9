#ifndef PREDICTD_TESTS_FAKES_FAILING_ALLOCATIONS_H_
#define PREDICTD_TESTS_FAKES_FAILING_ALLOCATIONS_H_

#include <cstdint>

namespace predictd {

// While it exists, the allocation of this thread that comes after `after` others fails, and with `from_then_on` so do
// all that follow. Works only in binaries that link failing_allocations.cc, which replaces operator new.
class FailingAllocations {
 public:
  explicit FailingAllocations(int64_t after, bool from_then_on = false);
  ~FailingAllocations();
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;

  // Whether an allocation has failed. If not, there were at most `after` of them.
  bool failed() const;

  // The number of allocations of this thread minus the number that it has freed. A free counts for the thread that does
  // it.
  static int64_t Live();

  // While it exists, this thread's allocations neither fail nor count towards `after`. For the test's own allocations.
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
