#include "client/predictctl/model_details.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "client/data_type.h"
#include "client/predictctl/table.h"
#include "client/predictctl/terminal_text.h"
#include "client/predictctl/traffic_text.h"
#include "client/predictctl/utf8.h"
#include "client/shape.h"

namespace predictd {
namespace {

// "ready" for MODEL_STATE_READY.
std::string PlainName(absl::string_view name, absl::string_view prefix) {
  return absl::AsciiStrToLower(absl::StartsWith(name, prefix) ? name.substr(prefix.size()) : name);
}

// Prints words after `prefix` in lines of the screen's width; lines after the first are indented.
void PrintWrapped(const std::string& prefix, const std::string& text, std::ostream& out) {
  std::string line = prefix;
  bool first = true;
  for (const absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \n\t"))) {
    if (!first && ColumnsOf(line) + 1 + ColumnsOf(word) > kScreenColumns) {
      out << line << "\n";
      line = "   ";
      first = true;
    }
    absl::StrAppend(&line, first && line == prefix ? "" : " ", word);
    first = false;
  }
  out << line << "\n";
}

// "16, 32 or 64".
template <typename Numbers>
std::string Alternatives(const Numbers& numbers) {
  std::string text;
  for (int i = 0; i < numbers.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : i + 1 == numbers.size() ? " or " : ", ", numbers[i]);
  }
  return text;
}

// What a tensor must satisfy besides its type.
std::string NotesText(const v1::TensorSpec& spec) {
  std::vector<std::string> notes;
  if (spec.optional()) notes.push_back("optional");
  if (spec.has_range()) notes.push_back(absl::StrCat("from ", spec.range().least(), " to ", spec.range().most()));
  if (spec.allow_empty()) notes.push_back("may be empty");
  if (!spec.pad_to().empty()) notes.push_back(absl::StrCat("filled up to ", Alternatives(spec.pad_to())));
  if (!spec.pad_like().empty()) notes.push_back(absl::StrCat("as long as ", spec.pad_like()));
  if (!spec.unpad().empty()) notes.push_back(absl::StrCat("as long as ", spec.unpad()));
  return absl::StrJoin(notes, ", ");
}

template <typename Specs>
void PrintSpecs(absl::string_view title, const Specs& specs, std::ostream& out) {
  bool noted = false;
  for (const v1::TensorSpec& spec : specs) noted = noted || !NotesText(spec).empty();
  Table table(noted ? std::vector<std::string>{"NAME", "TYPE", "NOTES"} : std::vector<std::string>{"NAME", "TYPE"});
  for (const v1::TensorSpec& spec : specs) {
    std::vector<std::string> row = {spec.name(), TypeText(spec)};
    if (noted) row.push_back(NotesText(spec));
    table.AddRow(std::move(row));
  }
  out << title << "\n" << table.Text("  ");
}

void PrintMasks(const v1::Model& model, std::ostream& out) {
  if (model.masks().empty()) return;
  Table table({"NAME", "TYPE", "NOTES"});
  for (const v1::MaskSpec& mask : model.masks()) {
    table.AddRow({mask.name(), absl::StrCat(DataTypeName(mask.dtype()), "[-1,-1]"),
                  absl::StrCat("which of ", mask.mask_of(), " was sent")});
  }
  out << "masks, which the server makes\n" << table.Text("  ");
}

void PrintVersions(const v1::Model& model, std::ostream& out) {
  std::map<std::int64_t, std::vector<std::string>> labels;
  for (const auto& [label, version] : model.labels()) labels[version].push_back(TerminalText(label));
  std::vector<std::string> header = {"VERSION", "STATE", "BACKEND"};
  if (!labels.empty()) header.emplace_back("LABELS");
  Table versions(std::move(header));
  for (const v1::ModelVersion& version : model.versions()) {
    std::vector<std::string> row = {version.version() == 0 ? "-" : absl::StrCat(version.version()),
                                    StateText(version.state()), version.backend()};
    if (!labels.empty()) row.push_back(absl::StrJoin(labels[version.version()], ", "));
    versions.AddRow(std::move(row));
  }
  out << "versions\n" << versions.Text("  ");
  PrintReasons(model, "  ", out);
}

void PrintGenerator(const v1::GeneratorSpec& generator, std::ostream& out) {
  out << (generator.chat() ? "takes a prompt or a chat" : "takes a prompt") << "\n"
      << "at most " << generator.max_length() << " tokens of prompt and answer together\n"
      << "at most " << generator.slots() << " answers at the same time\n"
      << "vocabulary of " << generator.vocabulary_size() << " tokens\n";
}

std::string BytesText(std::int64_t bytes) {
  constexpr std::int64_t kMiB = std::int64_t{1} << 20;
  return bytes > 0 && bytes % kMiB == 0 ? absl::StrCat(bytes / kMiB, " MiB") : absl::StrCat(bytes, " bytes");
}

std::string TimeText(const google::protobuf::Duration& time) {
  return absl::FormatDuration(absl::Seconds(time.seconds()) + absl::Nanoseconds(time.nanos()));
}

void PrintLimits(const v1::RequestLimits& limits, std::ostream& out) {
  out << "limits\n";
  out << "  a request has at most " << BytesText(limits.max_message_bytes()) << "\n";
  out << "  " << limits.queue_capacity() << " requests may wait";
  if (limits.queue_bytes() > 0) out << ", with " << BytesText(limits.queue_bytes()) << " of inputs";
  out << "\n";
  if (limits.has_max_queue_delay()) {
    out << "  a batch waits up to " << TimeText(limits.max_queue_delay()) << " for more rows";
    if (!limits.preferred_batch_sizes().empty()) {
      out << ", but not with " << Alternatives(limits.preferred_batch_sizes());
    }
    out << "\n";
  }
  if (limits.has_max_deadline()) {
    out << "  the deadline is at most " << TimeText(limits.max_deadline()) << "\n";
  }
  if (limits.has_default_deadline()) {
    out << "  a call without a deadline gets " << TimeText(limits.default_deadline()) << "\n";
  }
  if (limits.response_cache_bytes() > 0) {
    out << "  answers are kept, " << BytesText(limits.response_cache_bytes()) << " for each version\n";
  }
}

}  // namespace

std::string KindText(v1::ModelKind kind) {
  return kind == v1::MODEL_KIND_UNSPECIFIED ? "-" : PlainName(v1::ModelKind_Name(kind), "MODEL_KIND_");
}

std::string StateText(v1::ModelState state) {
  return PlainName(v1::ModelState_Name(state), "MODEL_STATE_");
}

std::string TypeText(const v1::TensorSpec& spec) {
  return absl::StrCat(DataTypeName(spec.dtype()), ShapeText(spec.shape()));
}

bool IsUnloaded(const v1::Model& model) {
  return !model.loaded() &&
         std::all_of(model.versions().begin(), model.versions().end(),
                     [](const v1::ModelVersion& version) { return version.state() == v1::MODEL_STATE_UNLOADED; });
}

void PrintReasons(const v1::Model& model, const std::string& prefix, std::ostream& out) {
  for (const v1::ModelVersion& version : model.versions()) {
    if (version.reason().empty()) continue;
    const std::string which = version.version() == 0 ? "" : absl::StrCat(version.version(), " ");
    PrintWrapped(prefix, absl::StrCat(which, StateText(version.state()), ": ", TerminalText(version.reason())), out);
  }
}

void PrintDetails(const v1::Model& model, std::ostream& out) {
  out << model.name();
  if (!model.description().empty()) out << ": " << model.description();
  out << "\n";
  if (model.kind() != v1::MODEL_KIND_UNSPECIFIED) out << KindText(model.kind()) << " model";
  if (model.kind() == v1::MODEL_KIND_TENSOR && model.batched()) {
    out << ", batched: the first dimension counts rows, at most " << model.max_batch_size() << " in a request";
  } else if (model.kind() == v1::MODEL_KIND_TENSOR) {
    out << ", not batched";
  }
  if (model.kind() != v1::MODEL_KIND_UNSPECIFIED) out << "\n";
  if (model.kind() == v1::MODEL_KIND_GENERATOR) PrintGenerator(model.generator(), out);
  if (IsUnloaded(model)) out << "not loaded: predictctl load " << model.name() << "\n";
  PrintVersions(model, out);
  if (model.has_traffic()) {
    out << "requests that name no version\n";
    PrintTraffic(model.traffic(), out);
  }
  if (model.kind() == v1::MODEL_KIND_TENSOR) {
    PrintSpecs("inputs", model.inputs(), out);
    PrintMasks(model, out);
    PrintSpecs("outputs", model.outputs(), out);
  }
  if (model.has_limits()) PrintLimits(model.limits(), out);
}

}  // namespace predictd
