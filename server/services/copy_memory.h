#ifndef PREDICTD_SERVER_SERVICES_COPY_MEMORY_H_
#define PREDICTD_SERVER_SERVICES_COPY_MEMORY_H_

#include <cstddef>
#include <memory>

namespace predictd {

// Memory for a copy of the elements of a tensor, aligned as tensors are. Of a large one, touching each page for the
// first time takes longer than the copy (measured), so it gets pages of its own, huge ones where the system has such.
std::shared_ptr<std::byte> AllocateCopy(size_t bytes);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_COPY_MEMORY_H_
