#include "server/model/failure_reason.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace predictd {
namespace {

constexpr size_t kMaxReason = 400;

// How stacks of C++ functions begin, each on a line of its own.
constexpr std::array<absl::string_view, 4> kTraces = {"\nException raised from ",
                                                      "\nC++ CapturedTraceback:", "\nframe #0:", "\nCPU stacktrace:"};

// How TorchScript's message about a failed operator begins. Lines of the model's source follow, and then the operator's
// own message.
constexpr absl::string_view kInterpreter = "The following operation failed in the TorchScript interpreter.";

// Matches "RuntimeError: ..." and "builtins.ValueError: ...".
bool NamesAnException(absl::string_view line) {
  const absl::string_view name = line.substr(0, line.find(": "));
  if (name.size() == line.size() || !(absl::EndsWith(name, "Error") || absl::EndsWith(name, "Exception"))) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return absl::ascii_isalnum(c) || c == '.' || c == '_'; });
}

// Removes TorchScript's lines of source code: keeps what comes before and after them.
std::string WithoutSource(absl::string_view text) {
  const size_t begin = text.find(kInterpreter);
  if (begin == absl::string_view::npos) return std::string(text);
  size_t last = absl::string_view::npos;
  for (size_t line = begin; line < text.size();) {
    const size_t end = std::min(text.find('\n', line), text.size());
    if (NamesAnException(text.substr(line, end - line))) last = line;
    line = end + 1;
  }
  if (last == absl::string_view::npos) return std::string(text);
  return absl::StrCat(text.substr(0, begin), text.substr(last));
}

bool IsPathChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         absl::StrContains("_.-+@~%/", absl::string_view(&c, 1)) || static_cast<unsigned char>(c) >= 0x80;
}

// Whether an absolute path begins at `at`, and not a fraction, a URL or the middle of a relative path.
bool BeginsPath(absl::string_view text, size_t at) {
  if (text[at] != '/' || at + 1 == text.size() || text[at + 1] == '/' || !IsPathChar(text[at + 1])) return false;
  return at == 0 || !IsPathChar(text[at - 1]);
}

absl::string_view LastName(absl::string_view path) {
  while (absl::EndsWith(path, "/")) path.remove_suffix(1);
  return path.substr(path.rfind('/') + 1);
}

// Replaces each absolute path by its last name.
std::string WithoutPaths(absl::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (!BeginsPath(text, at)) {
      out += text[at++];
      continue;
    }
    size_t end = at;
    while (end < text.size() && IsPathChar(text[end])) ++end;
    // Excludes the full stop of the sentence.
    while (text[end - 1] == '.') --end;
    absl::StrAppend(&out, LastName(text.substr(at, end - at)));
    at = end;
  }
  return out;
}

// Does the same for the folders of `file`, whose paths may not be recognised, for instance because they contain spaces.
std::string WithoutFolders(std::string text, const std::filesystem::path& file) {
  for (std::filesystem::path folder = file.parent_path(); folder.has_relative_path(); folder = folder.parent_path()) {
    const std::string path = folder.string();
    if (std::all_of(path.begin(), path.end(), IsPathChar)) continue;
    text = absl::StrReplaceAll(text, {{absl::StrCat(path, "/"), ""}, {path, folder.filename().string()}});
  }
  return text;
}

// Puts the text on one line and shortens it without cutting through a character.
std::string OnOneLine(absl::string_view text) {
  std::string line;
  for (const absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \t\r\n\v\f"), absl::SkipEmpty())) {
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  if (line.size() <= kMaxReason) return line;
  size_t end = kMaxReason;
  while ((static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
  line.resize(end);
  return line + "...";
}

}  // namespace

absl::string_view WithoutStackTrace(absl::string_view cause) {
  for (const absl::string_view trace : kTraces) cause = cause.substr(0, cause.find(trace));
  return absl::StripTrailingAsciiWhitespace(cause);
}

std::string FailureReason(absl::string_view cause, const std::filesystem::path& file) {
  std::string text = WithoutSource(WithoutStackTrace(cause));
  text = absl::StrReplaceAll(WithoutFolders(std::move(text), file), {{"file://", ""}});
  return OnOneLine(WithoutPaths(text));
}

}  // namespace predictd
