#ifndef PREDICTD_TESTS_RPC_RAW_CALL_H_
#define PREDICTD_TESTS_RPC_RAW_CALL_H_

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace predictd {

inline grpc::ByteBuffer ToMessage(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

inline std::string ToString(const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  if (!message.Dump(&slices).ok()) return {};
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// A client's call that does one thing at a time, unless it exchanges many messages, so that a test decides how far it
// goes: it may leave out its message, read nothing, or go away. Used by one thread.
class RawCall {
 public:
  using Metadata = std::vector<std::pair<std::string, std::string>>;

  RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
          std::optional<std::chrono::milliseconds> deadline = std::nullopt, const Metadata& metadata = {})
      : stub_(channel) {
    for (const auto& [key, value] : metadata) context_.AddMetadata(key, value);
    if (deadline.has_value()) context_.set_deadline(std::chrono::system_clock::now() + *deadline);
    stream_ = stub_.PrepareCall(&context_, path, &queue_);
    stream_->StartCall(this);
    Wait();
  }
  // Cancels whatever is still under way.
  ~RawCall() {
    if (!finished_) {
      context_.TryCancel();
      Finish();
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  RawCall(const RawCall&) = delete;
  RawCall& operator=(const RawCall&) = delete;

  // Sends the client's only message. Returns whether it was taken.
  bool Write(const std::string& bytes) {
    stream_->WriteLast(ToMessage(bytes), grpc::WriteOptions(), this);
    return Wait();
  }

  // Sends a message that others may follow. Returns whether it was taken.
  bool WriteOne(const std::string& bytes) {
    stream_->Write(ToMessage(bytes), this);
    return Wait();
  }

  // Says that the client sends no message, or none beside those that it has sent.
  bool WriteNothing() {
    stream_->WritesDone(this);
    return Wait();
  }

  // Returns the server's next message, or nullopt if there is none.
  std::optional<std::string> Read() {
    grpc::ByteBuffer message;
    stream_->Read(&message, this);
    return Wait() ? std::optional(ToString(message)) : std::nullopt;
  }

  // Sends the messages as fast as they are taken, and the end of the stream, and reads as many answers meanwhile.
  // Returns the answers that came.
  std::vector<std::string> Exchange(const std::vector<std::string>& messages) {
    std::vector<std::string> answers;
    grpc::ByteBuffer answer;
    size_t written = 0;
    int reading = 0;
    int writing = 0;
    const auto write = [&] {
      const size_t next = written++;
      if (next < messages.size()) {
        stream_->Write(ToMessage(messages[next]), &writing);
      } else if (next == messages.size()) {
        stream_->WritesDone(&writing);
      }
    };
    stream_->Read(&answer, &reading);
    write();
    while (true) {
      void* tag = nullptr;
      bool ok = false;
      queue_.Next(&tag, &ok);
      if (tag == &writing) {
        if (ok) write();
        continue;
      }
      if (!ok) break;
      answers.push_back(ToString(answer));
      if (answers.size() == messages.size() && written > messages.size()) break;
      stream_->Read(&answer, &reading);
    }
    return answers;
  }

  grpc::Status Finish() {
    grpc::Status status;
    stream_->Finish(&status, this);
    Wait();
    finished_ = true;
    return status;
  }

  void Cancel() { context_.TryCancel(); }

  // After Finish, returns the value of a trailer, which is empty if there is none.
  std::string Trailer(const std::string& key) const {
    const auto& trailers = context_.GetServerTrailingMetadata();
    const auto found = trailers.find(key);
    return found == trailers.end() ? std::string() : std::string(found->second.data(), found->second.size());
  }

 private:
  // An exchange may have left other operations.
  bool Wait() {
    void* tag = nullptr;
    bool ok = false;
    while (tag != this) {
      if (!queue_.Next(&tag, &ok)) return false;
    }
    return ok;
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  bool finished_ = false;
};

// One request and its answer.
struct RawAnswer {
  grpc::Status status;
  std::optional<std::string> message;
  std::string server_timing;
};

inline RawAnswer Ask(const std::shared_ptr<grpc::Channel>& channel, const std::string& path, const std::string& bytes,
                     std::optional<std::chrono::milliseconds> deadline = std::nullopt) {
  RawCall call(channel, path, deadline);
  call.Write(bytes);
  RawAnswer answer;
  answer.message = call.Read();
  answer.status = call.Finish();
  answer.server_timing = call.Trailer("server-timing");
  return answer;
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_RPC_RAW_CALL_H_
