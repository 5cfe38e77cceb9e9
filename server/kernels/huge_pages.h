#ifndef PREDICTD_SERVER_KERNELS_HUGE_PAGES_H_
#define PREDICTD_SERVER_KERNELS_HUGE_PAGES_H_

#include <cstddef>
#include <memory>

namespace predictd {

// Memory that holds zeros, on pages of 2 MB where the system provides them: a step reads all weights, and 2 MB then
// take one entry of the processor's TLB instead of 512. Aligned to such a page. Memory is taken when it is touched.
// Throws std::bad_alloc if there is no address space left.
std::shared_ptr<void> HugePages(size_t bytes);

}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_HUGE_PAGES_H_
