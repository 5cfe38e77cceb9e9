#include "server/services/infer_shared_memory.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/services/copy_memory.h"
#include "server/services/tensor_encoding.h"

namespace predictd {
namespace {

using inference::InferParameter;

constexpr char kRegion[] = "shared_memory_region";
constexpr char kByteSize[] = "shared_memory_byte_size";
constexpr char kOffset[] = "shared_memory_offset";

std::string PathOf(absl::string_view path, absl::string_view parameter) {
  return absl::StrCat(path, ".", ParameterPath(parameter));
}

// An integer of either kind that is not negative; 0 if there is none.
std::optional<uint64_t> ReadBytes(const InferParameterMap& parameters, const char* name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return 0;
  const InferParameter& parameter = found->second;
  if (parameter.has_uint64_param()) return parameter.uint64_param();
  if (parameter.has_int64_param() && parameter.int64_param() >= 0) {
    return static_cast<uint64_t>(parameter.int64_param());
  }
  return std::nullopt;
}

}  // namespace

bool IsPlaceParameter(absl::string_view name) {
  return name == kRegion || name == kByteSize || name == kOffset;
}

bool IsShared(const InferParameterMap& parameters, const SharedMemoryRegions* regions) {
  if (regions == nullptr) return false;
  const auto found = parameters.find(kRegion);
  // Clients send an empty name for no region.
  return found != parameters.end() && !(found->second.has_string_param() && found->second.string_param().empty());
}

std::optional<SharedPlace> ReadSharedPlace(const InferParameterMap& parameters, absl::string_view path,
                                           const SharedMemoryRegions& regions, FieldErrors& errors) {
  SharedPlace place = {.region_name = parameters.at(kRegion).string_param()};
  place.region = regions.Find(place.region_name);
  if (place.region == nullptr) {
    errors.Add(PathOf(path, kRegion),
               absl::StrCat("expected a string_param with the name of a region that is registered, got '",
                            place.region_name, "'"));
    return std::nullopt;
  }
  const std::optional<uint64_t> byte_size = ReadBytes(parameters, kByteSize);
  const std::optional<uint64_t> offset = ReadBytes(parameters, kOffset);
  constexpr char kExpected[] = "expected an int64_param or uint64_param that is not negative";
  if (!byte_size.has_value()) errors.Add(PathOf(path, kByteSize), kExpected);
  if (!offset.has_value()) errors.Add(PathOf(path, kOffset), kExpected);
  if (!byte_size.has_value() || !offset.has_value()) return std::nullopt;
  if (!place.region->Has(*offset, *byte_size)) {
    errors.Add(PathOf(path, kByteSize),
               absl::StrCat("expected, with the offset, at most the ", place.region->byte_size(), " bytes of '",
                            place.region_name, "', got ", *byte_size, " from ", *offset, " on"));
    return std::nullopt;
  }
  place.byte_size = *byte_size;
  place.offset = *offset;
  return place;
}

int64_t SharedInputBytes(const inference::ModelInferRequest& request, const SharedMemoryRegions* regions) {
  // More than there is of memory, and so little that sums of it fit.
  constexpr uint64_t kMost = uint64_t{1} << 50;
  if (regions == nullptr) return 0;
  uint64_t bytes = 0;
  for (const auto& input : request.inputs()) {
    if (!IsShared(input.parameters(), regions)) continue;
    uint64_t own = std::min(kMost, ReadBytes(input.parameters(), kByteSize).value_or(0));
    // Strings become objects, of which the shortest takes four bytes there.
    constexpr uint64_t kStringBytes = 48;
    const bool strings = input.datatype().empty() || input.datatype() == "BYTES";
    if (strings) own = 2 * own + kStringBytes * std::min(own / 4, static_cast<uint64_t>(kMaxStrings));
    bytes = std::min(kMost, bytes + own);
  }
  return static_cast<int64_t>(bytes);
}

std::optional<Tensor> FromSharedMemory(const SentTensor& sent, const SharedPlace& place) {
  if (!CheckRawBytes(sent, place.byte_size, kByteSize)) return std::nullopt;
  const auto size = static_cast<size_t>(place.byte_size);
  const std::shared_ptr<std::byte> bytes = AllocateCopy(size);
  if (const absl::Status read = place.region->Read(place.offset, {bytes.get(), size}); !read.ok()) {
    sent.errors.Add(sent.path(kRegion), read.message());
    return std::nullopt;
  }
  const std::shared_ptr<const void> owner = bytes;
  const SentTensor copied = {
      .spec = sent.spec, .shape = sent.shape, .owner = owner, .path = sent.path, .errors = sent.errors};
  return FromRaw(copied, {reinterpret_cast<const char*>(bytes.get()), size}, kRegion);
}

absl::Status ToSharedMemory(const Tensor& tensor, const SharedPlace& place, absl::string_view path,
                            inference::ModelInferResponse::InferOutputTensor& output) {
  std::string encoded;
  absl::Span<const std::byte> bytes;
  if (tensor.dtype() == DType::kBytes) {
    EncodeRaw(tensor, encoded);
    bytes = {reinterpret_cast<const std::byte*>(encoded.data()), encoded.size()};
  } else {
    bytes = {tensor.data(), tensor.byte_size()};
  }
  FieldErrors errors;
  if (bytes.size() > place.byte_size) {
    errors.Add(PathOf(path, kByteSize), absl::StrCat("expected room for the ", bytes.size(), " bytes of ",
                                                     output.name(), ", got ", place.byte_size));
  } else if (const absl::Status written = place.region->Write(place.offset, bytes); !written.ok()) {
    errors.Add(PathOf(path, kRegion), written.message());
  }
  if (!errors.empty()) return errors.ToStatus();
  auto& parameters = *output.mutable_parameters();
  parameters[kRegion].set_string_param(place.region_name);
  parameters[kByteSize].set_int64_param(static_cast<int64_t>(bytes.size()));
  if (place.offset != 0) parameters[kOffset].set_int64_param(static_cast<int64_t>(place.offset));
  return absl::OkStatus();
}

}  // namespace predictd
