#include "server/services/wire_schema.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;

// No encoder writes a singular field twice, but concatenated messages have it twice.
constexpr int64_t kMaxSingular = 4;
constexpr int64_t kMaxRepeated = 1024;

// Fields are in a table by number: fields with larger numbers are counted like unknown ones.
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
  // A typo in the path, which every test would hit.
  if (found == all_.end()) std::abort();
  return **found;
}

void WireSchema::Add(const Descriptor& type, const Field* parent, int64_t times, absl::Span<const Limit> limits,
                     Message& message) {
  open_.emplace_back(&type, &message);
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
      field->message = FindOpen(*descriptor.message_type());
      if (field->message == nullptr) {
        field->own_message = std::make_unique<Message>();
        field->message = field->own_message.get();
        // A singular message that comes twice does not allow twice as many of the fields in it.
        Add(*descriptor.message_type(), field.get(), descriptor.is_repeated() ? field->limit : times, limits,
            *field->own_message);
      }
    }
    message.fields[number] = std::move(field);
  }
  open_.pop_back();
}

const WireSchema::Message* WireSchema::FindOpen(const Descriptor& type) const {
  const auto open =
      std::find_if(open_.begin(), open_.end(), [&type](const auto& entry) { return entry.first == &type; });
  return open == open_.end() ? nullptr : open->second;
}

}  // namespace predictd
