#include "server/tokenizer/proto_reader.h"

#include <cstring>

namespace predictd {
namespace {

constexpr uint64_t kVarint = 0;
constexpr uint64_t kFixed64 = 1;
constexpr uint64_t kLengthDelimited = 2;
constexpr uint64_t kFixed32 = 5;

}  // namespace

bool ProtoReader::Next() {
  if (rest_.empty() || broken_) return false;
  const uint64_t tag = TakeVarint();
  field_ = tag >> 3;
  wire_type_ = tag & 7;
  bytes_ = {};
  switch (wire_type_) {
    case kVarint:
      varint_ = TakeVarint();
      break;
    case kFixed64:
      bytes_ = Take(sizeof(uint64_t));
      break;
    case kLengthDelimited:
      bytes_ = Take(TakeVarint());
      break;
    case kFixed32:
      bytes_ = Take(sizeof(uint32_t));
      break;
    default:
      broken_ = true;
  }
  return !broken_;
}

absl::string_view ProtoReader::Bytes() {
  Expect(kLengthDelimited);
  return bytes_;
}

uint64_t ProtoReader::Varint() {
  Expect(kVarint);
  return varint_;
}

float ProtoReader::Float() {
  Expect(kFixed32);
  float value = 0;
  if (!broken_) memcpy(&value, bytes_.data(), sizeof(value));
  return value;
}

uint64_t ProtoReader::TakeVarint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const absl::string_view byte = Take(1);
    if (broken_) return 0;
    value |= (static_cast<uint64_t>(byte[0]) & 0x7F) << shift;
    if ((static_cast<uint8_t>(byte[0]) & 0x80) == 0) return value;
  }
  broken_ = true;
  return 0;
}

absl::string_view ProtoReader::Take(uint64_t size) {
  if (size > rest_.size()) {
    broken_ = true;
    return {};
  }
  const absl::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

}  // namespace predictd
