#ifndef PREDICTD_SERVER_RPC_MESSAGE_BYTES_H_
#define PREDICTD_SERVER_RPC_MESSAGE_BYTES_H_

#include <google/protobuf/arena.h>
#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/proto_buffer_writer.h>

#include <memory>

#include "absl/status/statusor.h"

namespace predictd {

// An arena whose first block is part of it: a small message costs no allocation beyond this object.
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

// Parses a message into an arena that lives as long as the returned pointer: parts of it can be viewed instead of
// copied. INVALID_ARGUMENT if the bytes are no such message. `bytes` are only read.
template <class Message>
absl::StatusOr<std::shared_ptr<const Message>> ParseMessage(grpc::ByteBuffer& bytes) {
  auto arena = std::make_shared<CompactArena>();
  auto* message = arena->Create<Message>();
  grpc::ProtoBufferReader reader(&bytes);
  if (!reader.status().ok() || !message->ParseFromZeroCopyStream(&reader)) {
    return absl::InvalidArgumentError("the request is not a valid " + message->GetTypeName() + " message");
  }
  return std::shared_ptr<const Message>(std::move(arena), message);
}

// The message as it goes over the wire. RESOURCE_EXHAUSTED beyond 2 GiB, the most that a message can have.
template <class Message>
absl::StatusOr<grpc::ByteBuffer> SerializeMessage(const Message& message) {
  grpc::ByteBuffer bytes;
  bool own_buffer = false;
  if (!grpc::GenericSerialize<grpc::ProtoBufferWriter, Message>(message, &bytes, &own_buffer).ok()) {
    return absl::ResourceExhaustedError("the answer is larger than a message can be");
  }
  return bytes;
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_MESSAGE_BYTES_H_
