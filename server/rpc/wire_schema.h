#ifndef PREDICTD_SERVER_RPC_WIRE_SCHEMA_H_
#define PREDICTD_SERVER_RPC_WIRE_SCHEMA_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace predictd {

// What a type of message looks like on the wire, and how often each of its fields may come in a whole message. Made of
// the type's descriptor, so that a field that is added to it is bounded without anybody thinking of it. Immutable,
// thread-safe.
class WireSchema {
 public:
  // A field is named by its path, as in "inputs.shape".
  using Limit = std::pair<std::string, int64_t>;

  static constexpr int64_t kUnlimited = INT64_MAX;

  struct Message;
  struct Field {
    std::string path;
    int number = 0;
    // What it is in; null if that is the whole message.
    const Field* parent = nullptr;
    google::protobuf::internal::WireFormatLite::WireType wire_type;
    // Scalars that may also come many in one field; their count is that of elements.
    bool packable = false;
    int64_t limit = kUnlimited;
    // Its place among the counts of a scan.
    size_t index = 0;
    // What is in it, if it is a message.
    std::unique_ptr<Message> message;
  };
  struct Message {
    // By number; null where there is no field.
    std::vector<std::unique_ptr<Field>> fields;
  };

  // `limits` are those of fields for which these do not do, and hold for the message as a whole: 4 of a field that is
  // not repeated, 1024 of messages and strings that are, any number of scalars that are; as often as there may be
  // repeated messages around them. No message of the type holds another of the same type.
  WireSchema(const google::protobuf::Descriptor& type, absl::Span<const Limit> limits);

  // "package.Message".
  const std::string& type_name() const { return type_name_; }
  const Message& root() const { return root_; }
  // How many fields there are.
  size_t size() const { return size_; }
  // The field of that path, which must be there.
  const Field& at(absl::string_view path) const;

 private:
  // Adds the fields of `type`, which comes up to `times` times.
  void Add(const google::protobuf::Descriptor& type, const Field* parent, int64_t times, absl::Span<const Limit> limits,
           Message& message);

  const std::string type_name_;
  Message root_;
  size_t size_ = 0;
  std::vector<const Field*> all_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_WIRE_SCHEMA_H_
