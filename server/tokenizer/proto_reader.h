#ifndef PREDICTD_SERVER_TOKENIZER_PROTO_READER_H_
#define PREDICTD_SERVER_TOKENIZER_PROTO_READER_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace predictd {

// Reads the fields of a protobuf message in the wire format, one after the other. For one thread.
class ProtoReader {
 public:
  // `message` must outlive it.
  explicit ProtoReader(absl::string_view message) : rest_(message) {}

  // Moves to the next field. False at the end, or if the message is broken.
  bool Next();
  bool broken() const { return broken_; }

  uint64_t field() const { return field_; }
  // The value of the current field. If the field has another wire type, the message is broken.
  absl::string_view Bytes();
  std::string String() { return std::string(Bytes()); }
  uint64_t Varint();
  int32_t Int32() { return static_cast<int32_t>(Varint()); }
  bool Bool() { return Varint() != 0; }
  float Float();

 private:
  uint64_t TakeVarint();
  absl::string_view Take(uint64_t size);
  void Expect(uint64_t wire_type) { broken_ = broken_ || wire_type_ != wire_type; }

  absl::string_view rest_;
  uint64_t field_ = 0;
  uint64_t wire_type_ = 0;
  // The value of a varint, or the bytes of any other field.
  uint64_t varint_ = 0;
  absl::string_view bytes_;
  bool broken_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_PROTO_READER_H_
