#include "server/compiled/target.h"

#include <sys/utsname.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

// The features, by Linux's names, that PyTorch's name for an instruction set implies.
const std::vector<std::string>* FeaturesOf(absl::string_view isa) {
  static const auto& known = *new std::map<std::string, std::vector<std::string>>{
      {"AVX2", {"avx2", "fma", "f16c"}},
      {"AVX512", {"avx512f", "avx512dq", "avx512bw", "avx512vl", "fma"}},
      {"AVX512_VNNI", {"avx512_vnni"}},
      {"AMX_TILE", {"amx_tile"}},
      {"ASIMD", {"asimd"}},
  };
  const auto found = known.find(std::string(isa));
  return found == known.end() ? nullptr : &found->second;
}

std::string Text(const Json& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found != metadata.end() && found->is_string() ? found->get<std::string>() : "";
}

Machine AskSystem() {
  Machine machine;
  machine.platform = "linux";
  utsname names{};
  if (uname(&names) == 0) machine.architecture = names.machine;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    const absl::string_view key = absl::StripAsciiWhitespace(parts[0]);
    if (parts.size() != 2 || (key != "flags" && key != "Features")) continue;
    for (const absl::string_view word : absl::StrSplit(parts[1], ' ', absl::SkipEmpty())) {
      machine.features.emplace(word);
    }
    break;
  }
  return machine;
}

}  // namespace

const Machine& ThisMachine() {
  static const auto& machine = *new Machine(AskSystem());
  return machine;
}

absl::Status CheckCompiledTarget(absl::string_view metadata, const Machine& machine) {
  const Json json = Json::parse(metadata.begin(), metadata.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::FailedPreconditionError("the package's metadata cannot be read");
  const std::string device = Text(json, "AOTI_DEVICE_KEY");
  if (device != "cpu") {
    return absl::FailedPreconditionError(
        absl::StrCat("the package is compiled for the device '", device,
                     "', and this server runs models on the CPU: export the module on the CPU and compile that"));
  }
  const std::string platform = Text(json, "AOTI_PLATFORM");
  const std::string architecture = Text(json, "AOTI_MACHINE");
  if ((!platform.empty() && platform != machine.platform) ||
      (!architecture.empty() && architecture != machine.architecture)) {
    return absl::FailedPreconditionError(absl::StrCat("the package is compiled for ", platform, " on ", architecture,
                                                      ", and this is ", machine.platform, " on ",
                                                      machine.architecture));
  }
  if (machine.features.empty()) return absl::OkStatus();
  const std::string isa = Text(json, "AOTI_CPU_ISA");
  for (const absl::string_view name : absl::StrSplit(isa, ' ', absl::SkipEmpty())) {
    const std::vector<std::string>* features = FeaturesOf(name);
    if (features == nullptr) continue;
    for (const std::string& feature : *features) {
      if (machine.features.contains(feature)) continue;
      return absl::FailedPreconditionError(absl::StrCat("the package is compiled for processors with ", isa,
                                                        ", and this one has no ", feature,
                                                        ": compile it on a machine like this one"));
    }
  }
  return absl::OkStatus();
}

}  // namespace predictd
