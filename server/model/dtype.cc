#include "server/model/dtype.h"

#include <array>

namespace predictd {
namespace {

struct Entry {
  absl::string_view name;
  size_t width;
};

// Indexed by DType.
constexpr std::array<Entry, 14> kEntries = {{{"BOOL", 1},
                                             {"UINT8", 1},
                                             {"UINT16", 2},
                                             {"UINT32", 4},
                                             {"UINT64", 8},
                                             {"INT8", 1},
                                             {"INT16", 2},
                                             {"INT32", 4},
                                             {"INT64", 8},
                                             {"FP16", 2},
                                             {"BF16", 2},
                                             {"FP32", 4},
                                             {"FP64", 8},
                                             {"BYTES", 0}}};

}  // namespace

size_t ByteWidth(DType dtype) {
  return kEntries[static_cast<size_t>(dtype)].width;
}

absl::string_view DTypeName(DType dtype) {
  return kEntries[static_cast<size_t>(dtype)].name;
}

std::optional<DType> ParseDType(absl::string_view name) {
  for (size_t i = 0; i < kEntries.size(); ++i) {
    if (kEntries[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

}  // namespace predictd
