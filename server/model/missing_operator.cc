#include "server/model/missing_operator.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace predictd {
namespace {

// What LibTorch writes before the operator's name: TorchScript, the dispatcher (for packages), TorchScript's classes.
constexpr std::array<absl::string_view, 4> kOperator = {"Unknown builtin op: ", "Could not find schema for ",
                                                        "Unknown type name '__torch__.torch.classes.",
                                                        "Tried to instantiate class '__torch__.torch.classes."};
// What the system's loader writes before the name of a function that compiled code needs.
constexpr absl::string_view kSymbol = "undefined symbol: ";

bool IsNameChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("_:.$@", absl::string_view(&c, 1));
}

// The name at the beginning of the text, without the full stop of the sentence.
absl::string_view NameAt(absl::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), IsNameChar);
  absl::string_view name = text.substr(0, static_cast<size_t>(end - text.begin()));
  while (absl::EndsWith(name, ".")) name.remove_suffix(1);
  return name;
}

absl::Status Missing(absl::string_view what, absl::string_view name) {
  return absl::FailedPreconditionError(
      absl::StrCat("the model uses the ", what, " ", name,
                   ", which nothing here defines: --operator-library=FILE loads the shared library that does"));
}

}  // namespace

absl::Status ExplainMissingOperator(absl::Status status) {
  const absl::string_view message = status.message();
  for (const absl::string_view before : kOperator) {
    const size_t at = message.find(before);
    if (at == absl::string_view::npos) continue;
    const absl::string_view name = NameAt(message.substr(at + before.size()));
    return Missing(absl::StrContains(before, "classes") ? "class" : "operator", name);
  }
  const size_t at = message.find(kSymbol);
  if (at == absl::string_view::npos) return status;
  return Missing("function", NameAt(message.substr(at + kSymbol.size())));
}

}  // namespace predictd
