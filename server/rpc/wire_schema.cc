#include "server/rpc/wire_schema.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;

// No encoder sends a field twice that is not repeated, but who puts two messages together does.
constexpr int64_t kMaxSingular = 4;
constexpr int64_t kMaxRepeated = 1024;

// By number in a table: fields with larger numbers are counted as unknown ones are.
constexpr int kMaxNumber = 256;

int64_t DefaultLimit(const FieldDescriptor& field) {
  if (!field.is_repeated()) return kMaxSingular;
  return field.is_packable() ? WireSchema::kUnlimited : kMaxRepeated;
}

int64_t Times(int64_t limit, int64_t times) {
  int64_t product = 0;
  return __builtin_mul_overflow(limit, times, &product) ? WireSchema::kUnlimited : product;
}

}  // namespace

WireSchema::WireSchema(const Descriptor& type, absl::Span<const Limit> limits) : type_name_(type.full_name()) {
  Add(type, nullptr, 1, limits, root_);
}

const WireSchema::Field& WireSchema::at(absl::string_view path) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [path](const Field* field) { return field->path == path; });
  // A typing error, which every test would meet.
  if (found == all_.end()) std::abort();
  return **found;
}

void WireSchema::Add(const Descriptor& type, const Field* parent, int64_t times, absl::Span<const Limit> limits,
                     Message& message) {
  const std::string prefix = parent == nullptr ? "" : parent->path + ".";
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& descriptor = *type.field(i);
    const auto number = static_cast<size_t>(descriptor.number());
    if (descriptor.number() > kMaxNumber) continue;
    if (message.fields.size() <= number) message.fields.resize(number + 1);
    auto field = std::make_unique<Field>();
    field->number = descriptor.number();
    field->parent = parent;
    field->path = absl::StrCat(prefix, descriptor.name());
    field->wire_type = WireFormatLite::WireTypeForFieldType(static_cast<WireFormatLite::FieldType>(descriptor.type()));
    field->packable = descriptor.is_packable();
    field->index = size_++;
    const auto own =
        std::find_if(limits.begin(), limits.end(), [&field](const Limit& limit) { return limit.first == field->path; });
    field->limit = own == limits.end() ? Times(DefaultLimit(descriptor), times) : own->second;
    all_.push_back(field.get());
    if (descriptor.type() == FieldDescriptor::TYPE_MESSAGE) {
      field->message = std::make_unique<Message>();
      // Who may send a message twice may not therefore send twice of all that is in it.
      Add(*descriptor.message_type(), field.get(), descriptor.is_repeated() ? field->limit : times, limits,
          *field->message);
    }
    message.fields[number] = std::move(field);
  }
}

}  // namespace predictd
