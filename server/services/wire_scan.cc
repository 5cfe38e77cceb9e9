#include "server/services/wire_scan.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/services/field_errors.h"

namespace predictd {
namespace {

using google::protobuf::internal::WireFormatLite;

// The same limits as protobuf's parser has for groups, and for messages of a type that contains itself.
constexpr size_t kMaxGroups = 100;
constexpr int kMaxMessages = 100;
// Parsers keep unknown fields, so their number is limited.
constexpr int64_t kMaxUnknown = 1024;
constexpr size_t kMaxText = 256;

// The measured cost of parsing, in nanoseconds: for each field that becomes an object, for each scalar, and for 16
// bytes that are copied or decoded.
constexpr int64_t kObject = 60;
constexpr int64_t kScalar = 8;
constexpr int64_t kCopied16 = 8;
constexpr int64_t kVarint16 = 128;

// Bytes in memory: for a message, for a string besides its own bytes, and for a scalar that is not packed, whose field
// grows by copying.
constexpr int64_t kMessageBytes = 256;
constexpr int64_t kStringBytes = 64;
constexpr int64_t kScalarBytes = 24;

// Shorter packed fields may grow freely, and no request has many longer ones.
constexpr int kLongPacked = 4096;
constexpr size_t kMaxPacked = 1024;

class Scanner {
 public:
  using Field = WireSchema::Field;
  using Message = WireSchema::Message;

  Scanner(grpc::ByteBuffer& bytes, const WireSchema& schema, const Field& text, Duration most)
      : reader_(&bytes), in_(&reader_), schema_(schema), text_(text), most_(most.count()) {
    scan_.counts.resize(schema.size());
  }

  absl::StatusOr<WireScan> Run() {
    const bool whole = reader_.status().ok() && ScanMessage(schema_.root());
    if (!errors_.empty()) return errors_.ToStatus();
    if (!whole && scan_.complete) {
      return absl::InvalidArgumentError(absl::StrCat("the request is not a valid ", schema_.type_name(), " message"));
    }
    scan_.parsing = Duration(nanos_);
    return std::move(scan_);
  }

 private:
  // Each of these returns false where the scan ends: because there are errors, because it took too long, or because the
  // bytes are not such a message.

  bool ScanNested(const Message& message) {
    if (depth_ == kMaxMessages) {
      return Refuse("request", absl::StrCat("expected at most ", kMaxMessages, " nested messages, got more"));
    }
    ++depth_;
    const bool all = ScanMessage(message);
    --depth_;
    return all;
  }

  bool ScanMessage(const Message& message) {
    while (const uint32_t tag = in_.ReadTag()) {
      const auto number = static_cast<size_t>(WireFormatLite::GetTagFieldNumber(tag));
      const Field* field = number < message.fields.size() ? message.fields[number].get() : nullptr;
      const auto type = WireFormatLite::GetTagWireType(tag);
      const bool packed = field != nullptr && field->packable && type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
      if (type == WireFormatLite::WIRETYPE_END_GROUP) return false;
      if (!(field != nullptr && (packed || type == field->wire_type) ? ScanField(*field, packed) : SkipUnknown(tag))) {
        return false;
      }
      if (TakesTooLong()) return false;
    }
    return in_.ConsumedEntireMessage();
  }

  bool ScanField(const Field& field, bool packed) {
    if (!packed && !Count(field, 1)) return false;
    if (!packed && field.wire_type != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      nanos_ += kScalar;
      scan_.memory += kScalarBytes;
      return SkipScalar(field.wire_type);
    }
    int length = 0;
    if (!in_.ReadVarintSizeAsInt(&length)) return false;
    if (packed) return ScanPacked(field, length);
    nanos_ += kObject;
    scan_.memory += field.message != nullptr ? kMessageBytes : kStringBytes + length;
    if (field.message != nullptr) {
      const auto outer = in_.PushLimit(length);
      // If an outer message ends before this one, the rest is not scanned.
      const bool all = in_.BytesUntilLimit() == length && ScanNested(*field.message);
      in_.PopLimit(outer);
      return all;
    }
    nanos_ += length * kCopied16 / 16;
    if (&field != &text_ || static_cast<size_t>(length) > kMaxText) {
      if (&field == &text_) scan_.text.clear();
      return in_.Skip(length);
    }
    return in_.ReadString(&scan_.text, length);
  }

  bool ScanPacked(const Field& field, int length) {
    const bool varints = field.wire_type == WireFormatLite::WIRETYPE_VARINT;
    nanos_ += kScalar + length * (varints ? kVarint16 : kCopied16) / 16;
    const bool limited = field.limit != WireSchema::kUnlimited;
    if (!limited && length < kLongPacked) {
      scan_.memory += kScalarBytes * length;
      return Count(field, 1) && in_.Skip(length);
    }
    // Counting the elements takes a tenth of the time of parsing them.
    if (TakesTooLong()) return false;
    int64_t elements = 0;
    if (!varints) {
      elements = length / (field.wire_type == WireFormatLite::WIRETYPE_FIXED32 ? 4 : 8);
      if (!in_.Skip(length)) return false;
    } else if (!SkipCounting(length, elements)) {
      return false;
    }
    scan_.memory += elements * static_cast<int64_t>(sizeof(int64_t));
    if (scan_.packed.size() < kMaxPacked) {
      scan_.packed.push_back({&field, field.parent == nullptr ? 0 : scan_.counts[field.parent->index] - 1, elements});
    }
    return Count(field, limited ? elements : 1);
  }

  // Skips bytes, and counts the varints that end in them: each ends with the first byte whose eighth bit is not set.
  bool SkipCounting(int length, int64_t& varints) {
    const void* data = nullptr;
    int size = 0;
    for (int left = length; left > 0; left -= size) {
      if (!in_.GetDirectBufferPointer(&data, &size)) return false;
      size = std::min(size, left);
      const auto* begin = static_cast<const signed char*>(data);
      varints += std::count_if(begin, begin + size, [](signed char byte) { return byte >= 0; });
      in_.Skip(size);
    }
    return true;
  }

  // Skips a field with this tag and, if it is a group, everything in it.
  bool SkipUnknown(uint32_t tag) {
    // The numbers of the groups that are open.
    std::vector<int> groups;
    do {
      if (tag == 0) return false;
      const int number = WireFormatLite::GetTagFieldNumber(tag);
      const auto type = WireFormatLite::GetTagWireType(tag);
      nanos_ += kObject;
      scan_.memory += kStringBytes;
      if (number == 0) return false;
      if (++unknown_ > kMaxUnknown) {
        return Refuse("request", absl::StrCat("expected at most ", kMaxUnknown, " unknown fields, got more"));
      }
      if (type == WireFormatLite::WIRETYPE_START_GROUP) {
        if (groups.size() >= kMaxGroups) {
          return Refuse("request", absl::StrCat("expected at most ", kMaxGroups, " nested groups, got more"));
        }
        groups.push_back(number);
      } else if (type == WireFormatLite::WIRETYPE_END_GROUP) {
        if (groups.empty() || groups.back() != number) return false;
        groups.pop_back();
      } else if (type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        int length = 0;
        if (!in_.ReadVarintSizeAsInt(&length) || !in_.Skip(length)) return false;
        nanos_ += length * kCopied16 / 16;
        scan_.memory += kStringBytes + length;
      } else if (!SkipScalar(type)) {
        return false;
      }
      if (!groups.empty()) tag = in_.ReadTag();
    } while (!groups.empty());
    return true;
  }

  bool SkipScalar(WireFormatLite::WireType type) {
    uint64_t ignored = 0;
    switch (type) {
      case WireFormatLite::WIRETYPE_VARINT:
        return in_.ReadVarint64(&ignored);
      case WireFormatLite::WIRETYPE_FIXED32:
        return in_.Skip(4);
      case WireFormatLite::WIRETYPE_FIXED64:
        return in_.Skip(8);
      default:
        return false;
    }
  }

  bool TakesTooLong() {
    scan_.complete = nanos_ <= most_;
    return !scan_.complete;
  }

  bool Count(const Field& field, int64_t more) {
    int64_t& count = scan_.counts[field.index];
    count += more;
    if (count <= field.limit) return true;
    return Refuse(field.path, absl::StrCat("expected at most ", field.limit, " in a message, got ", count, " or more"));
  }

  bool Refuse(absl::string_view field, absl::string_view description) {
    errors_.Add(field, description);
    return false;
  }

  grpc::ProtoBufferReader reader_;
  google::protobuf::io::CodedInputStream in_;
  const WireSchema& schema_;
  const Field& text_;
  const int64_t most_;
  WireScan scan_;
  FieldErrors errors_;
  int depth_ = 0;
  int64_t unknown_ = 0;
  int64_t nanos_ = 0;
};

}  // namespace

absl::StatusOr<WireScan> ScanWire(grpc::ByteBuffer& bytes, const WireSchema& schema, const WireSchema::Field& text,
                                  Duration most) {
  return Scanner(bytes, schema, text, most).Run();
}

}  // namespace predictd
