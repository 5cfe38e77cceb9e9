#ifndef PREDICTD_SERVER_SERVICES_WIRE_SCHEMA_H_
#define PREDICTD_SERVER_SERVICES_WIRE_SCHEMA_H_

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

// What a type of message looks like on the wire, and how often each of its fields may come in a whole message. Built
// from the type's descriptor, so that a field added to the type is bounded without anybody thinking of it. Immutable,
// thread-safe.
class WireSchema {
 public:
  // A field is named by its path, such as "inputs.shape".
  using Limit = std::pair<std::string, int64_t>;

  static constexpr int64_t kUnlimited = INT64_MAX;

  struct Message;
  struct Field {
    std::string path;
    int number = 0;
    // The field that contains this one; null if that is the whole message.
    const Field* parent = nullptr;
    google::protobuf::internal::WireFormatLite::WireType wire_type;
    // Whether the field holds scalars that may also be packed; then its count is the number of elements.
    bool packable = false;
    int64_t limit = kUnlimited;
    // The field's place among the counts of a scan.
    size_t index = 0;
    // The message that the field holds, if it holds one: its own, or, where a type contains itself, an enclosing one.
    const Message* message = nullptr;
    std::unique_ptr<Message> own_message;
  };
  struct Message {
    // Indexed by field number; null where there is no field.
    std::vector<std::unique_ptr<Field>> fields;
  };

  // `limits` are for the fields that the defaults do not suit, and hold for the message as a whole. By default a field
  // that is not repeated may come 4 times, repeated messages and strings 1024 times, and repeated scalars any number of
  // times; this is multiplied by how often the repeated messages around the field may come. Where a type contains
  // itself, a field is counted at all depths together, under the path of the first one.
  WireSchema(const google::protobuf::Descriptor& type, absl::Span<const Limit> limits);

  // The full name, "package.Message".
  const std::string& type_name() const { return type_name_; }
  const Message& root() const { return root_; }
  // How many fields there are.
  size_t size() const { return size_; }
  // The field with that path, which must exist.
  const Field& at(absl::string_view path) const;

 private:
  // Adds the fields of `type`, which comes up to `times` times.
  void Add(const google::protobuf::Descriptor& type, const Field* parent, int64_t times, absl::Span<const Limit> limits,
           Message& message);
  // The message of that type that is being built, if there is one.
  const Message* FindOpen(const google::protobuf::Descriptor& type) const;

  const std::string type_name_;
  Message root_;
  size_t size_ = 0;
  std::vector<const Field*> all_;
  // The messages that are being built, from the outermost inwards.
  std::vector<std::pair<const google::protobuf::Descriptor*, const Message*>> open_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_WIRE_SCHEMA_H_
