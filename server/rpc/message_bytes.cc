#include "server/rpc/message_bytes.h"

#include <climits>
#include <cstdint>

namespace predictd {
namespace {

// Up to this size gRPC's own allocation is cheaper: it makes one for the count and the bytes.
constexpr size_t kSmallAnswer = size_t{64} << 10;

// gRPC's own allocations end the process if there is no memory; slices that may be large throw std::bad_alloc instead.
grpc::Slice AllocateSlice(size_t size) {
  if (size <= kSmallAnswer) return grpc::Slice(size);
  auto bytes = std::make_unique_for_overwrite<uint8_t[]>(size);
  grpc::Slice slice(
      bytes.get(), size, [](void* owned) { delete[] static_cast<uint8_t*>(owned); }, bytes.get());
  // The slice owns it from here on.
  static_cast<void>(bytes.release());
  return slice;
}

}  // namespace

absl::StatusOr<grpc::ByteBuffer> SerializeMessage(const google::protobuf::MessageLite& message) {
  const size_t size = message.ByteSizeLong();
  if (size > INT_MAX) {
    return absl::ResourceExhaustedError(absl::StrCat("expected an answer of at most ", INT_MAX,
                                                     " bytes, which is what a message can have, got ", size));
  }
  grpc::Slice slice = AllocateSlice(size);
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace predictd
