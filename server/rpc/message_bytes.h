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

// Parses a message into an arena that lives as long as the returned pointer: parts of it can be viewed instead of
// copied. INVALID_ARGUMENT if the bytes are no such message.
template <class Message>
absl::StatusOr<std::shared_ptr<const Message>> ParseMessage(const grpc::ByteBuffer& bytes) {
  auto arena = std::make_shared<google::protobuf::Arena>();
  auto* message = google::protobuf::Arena::CreateMessage<Message>(arena.get());
  grpc::ByteBuffer copy = bytes;  // shares the slices; the reader wants one that it may change
  grpc::ProtoBufferReader reader(&copy);
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
