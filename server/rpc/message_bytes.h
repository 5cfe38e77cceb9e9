#ifndef PREDICTD_SERVER_RPC_MESSAGE_BYTES_H_
#define PREDICTD_SERVER_RPC_MESSAGE_BYTES_H_

#include <google/protobuf/arena.h>
#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace predictd {

// An arena whose first block is part of the object: a small message costs no allocation beyond this object.
class CompactArena {
 public:
  CompactArena() : arena_(Options(block_)) {}
  template <class Message>
  Message* Create() {
    return google::protobuf::Arena::CreateMessage<Message>(&arena_);
  }

 private:
  using Block = char[1536];

  static google::protobuf::ArenaOptions Options(Block& block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block;
    options.initial_block_size = sizeof(block);
    return options;
  }

  alignas(8) Block block_;
  google::protobuf::Arena arena_;
};

// How large a message may be that is parsed without a scan: whatever it contains, it becomes less than a MiB.
constexpr size_t kSmallMessageBytes = 4096;

// Parses a message and frees `bytes`. Parts of the message can be viewed instead of copied as long as the returned
// pointer lives. Returns INVALID_ARGUMENT if the bytes are no such message, or more than `max_bytes`: a message that
// may be larger must have been scanned. `prepare` is called with the message before it is parsed.
template <class Message, class Prepare = std::nullptr_t>
absl::StatusOr<std::shared_ptr<const Message>> ParseMessage(grpc::ByteBuffer& bytes,
                                                            size_t max_bytes = kSmallMessageBytes,
                                                            Prepare prepare = nullptr) {
  const size_t size = bytes.Length();
  if (size > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("expected a request of at most ", max_bytes, " bytes, got ", size));
  }
  // The arena is not only for speed: without one, protobuf leaks and corrupts memory when an allocation fails in the
  // middle.
  auto arena = std::make_shared<CompactArena>();
  auto* message = arena->template Create<Message>();
  if constexpr (!std::is_null_pointer_v<Prepare>) prepare(*message);
  grpc::ProtoBufferReader reader(&bytes);
  // This merges, because parsing into a message clears it first. The size fits an int: gRPC takes no larger messages
  // than protobuf does.
  const bool parsed = reader.status().ok() && message->MergeFromBoundedZeroCopyStream(&reader, static_cast<int>(size));
  bytes.Clear();
  if (!parsed) {
    return absl::InvalidArgumentError("the request is not a valid " + message->GetTypeName() + " message");
  }
  return std::shared_ptr<const Message>(std::move(arena), message);
}

// Serializes a message as it goes over the wire. Returns RESOURCE_EXHAUSTED above 2 GiB, the most that a message can
// have.
absl::StatusOr<grpc::ByteBuffer> SerializeMessage(const google::protobuf::MessageLite& message);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_MESSAGE_BYTES_H_
