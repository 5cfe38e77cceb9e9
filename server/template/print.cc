#include "server/template/print.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace predictd {
namespace {

constexpr int kMaxPrintedDepth = 64;

absl::Status CannotPrint(const TemplateValue& value) {
  return absl::InternalError(absl::StrCat("cannot print ", Describe(value)));
}

absl::Status TooDeep() {
  return absl::InternalError("cannot print containers that are nested so deeply");
}

// The fewest digits that identify the number, with an exponent from 1e16 on and below 1e-4.
std::string FloatText(double value, absl::string_view infinity, absl::string_view nan) {
  if (std::isnan(value)) return std::string(nan);
  if (std::isinf(value)) return absl::StrCat(value < 0 ? "-" : "", infinity);
  char buffer[32];
  const double size = std::fabs(value);
  const bool has_exponent = size != 0 && (size >= 1e16 || size < 1e-4);
  const std::to_chars_result result =
      std::to_chars(std::begin(buffer), std::end(buffer), value,
                    has_exponent ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(buffer, result.ptr);
  if (!has_exponent && text.find('.') == std::string::npos) text += ".0";
  return text;
}

// Charges for the escaped copy of a string, whose characters are looked at one by one.
absl::Status ChargeEscaped(TemplateRun& run, const TemplateString& string, const TemplateString& text) {
  if (absl::Status status = run.ChargeText(text, string.size()); !status.ok()) return status;
  return run.Charge(string.cost() / 4);
}

// Calls escape(code, size of the character) for each character and writes what it returns instead; an empty result
// stands for the character itself.
template <class Escape>
void AppendEscaped(const TemplateString& from, Escape escape, TemplateString& text) {
  const std::string& bytes = from.text();
  size_t done = 0;
  for (size_t at = 0; at < bytes.size();) {
    auto next = static_cast<int32_t>(at);
    UChar32 code = 0;
    U8_NEXT(bytes.data(), next, static_cast<int32_t>(bytes.size()), code);
    const std::string escaped = escape(code);
    if (!escaped.empty()) {
      text.AppendPart(from, done, at);
      text.AppendUntrusted(escaped);
      done = static_cast<size_t>(next);
    }
    at = static_cast<size_t>(next);
  }
  text.AppendPart(from, done, bytes.size());
}

std::string CommonEscape(UChar32 code) {
  switch (code) {
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return "";
  }
}

void AppendQuoted(const TemplateString& from, TemplateString& text) {
  const bool has_single = from.text().find('\'') != std::string::npos;
  const char quote = has_single && from.text().find('"') == std::string::npos ? '"' : '\'';
  text.AppendTrusted(std::string(1, quote));
  AppendEscaped(
      from,
      [quote](UChar32 code) -> std::string {
        if (code == quote) return std::string{'\\', quote};
        if (std::string common = CommonEscape(code); !common.empty()) return common;
        // Python calls these characters not printable: the category "other", and separators except the space.
        constexpr uint32_t kNotPrintable = U_GC_C_MASK | U_GC_Z_MASK;
        if (code < 0 || code == ' ' || (U_GET_GC_MASK(code) & kNotPrintable) == 0) return "";
        if (code < 0x100) return absl::StrFormat("\\x%02x", code);
        if (code < 0x10000) return absl::StrFormat("\\u%04x", code);
        return absl::StrFormat("\\U%08x", code);
      },
      text);
  text.AppendTrusted(std::string(1, quote));
}

// JSON escapes UTF-16 code units.
std::string AsciiEscape(UChar32 code) {
  if (code < 0x10000) return absl::StrFormat("\\u%04x", code);
  return absl::StrFormat("\\u%04x\\u%04x", U16_LEAD(code), U16_TRAIL(code));
}

void AppendJsonString(const TemplateString& from, bool ascii, TemplateString& text) {
  text.AppendTrusted("\"");
  AppendEscaped(
      from,
      [ascii](UChar32 code) -> std::string {
        if (ascii && code > 0x7E) return AsciiEscape(code);
        if (code < 0 || code > '\\') return "";
        if (std::string common = CommonEscape(code); !common.empty()) return common;
        if (code == '"') return "\\\"";
        if (code == '\b') return "\\b";
        if (code == '\f') return "\\f";
        return code < 0x20 ? absl::StrFormat("\\u%04x", code) : "";
      },
      text);
  text.AppendTrusted("\"");
}

// Python's repr(value).
absl::Status AppendRepr(TemplateRun& run, const TemplateValue& value, int depth, TemplateString& text) {
  if (depth == 0) return TooDeep();
  if (absl::Status status = run.ChargeText(text, 0); !status.ok()) return status;
  if (const TemplateString* string = value.AsText()) {
    if (absl::Status status = ChargeEscaped(run, *string, text); !status.ok()) return status;
    AppendQuoted(*string, text);
    return absl::OkStatus();
  }
  if (value.AsUndefined() != nullptr) {
    text.AppendTrusted("Undefined");
    return absl::OkStatus();
  }
  if (const TemplateList* list = value.AsList()) {
    text.AppendTrusted(list->is_tuple ? "(" : "[");
    for (size_t i = 0; i < list->items.size(); ++i) {
      if (i > 0) text.AppendTrusted(", ");
      if (absl::Status status = AppendRepr(run, list->items[i], depth - 1, text); !status.ok()) return status;
    }
    text.AppendTrusted(!list->is_tuple ? "]" : list->items.size() == 1 ? ",)" : ")");
    return absl::OkStatus();
  }
  if (const TemplateDict* dict = value.AsDict()) {
    text.AppendTrusted("{");
    for (size_t i = 0; i < dict->entries.size(); ++i) {
      if (i > 0) text.AppendTrusted(", ");
      if (absl::Status status = AppendRepr(run, dict->entries[i].first, depth - 1, text); !status.ok()) return status;
      text.AppendTrusted(": ");
      if (absl::Status status = AppendRepr(run, dict->entries[i].second, depth - 1, text); !status.ok()) return status;
    }
    text.AppendTrusted("}");
    return absl::OkStatus();
  }
  return AppendText(run, value, text);
}

// Prints one value as JSON, with line breaks if there is an indent.
class JsonPrinter {
 public:
  JsonPrinter(TemplateRun& run, const TemplateJsonStyle& style, TemplateString& text)
      : run_(run), style_(style), text_(text) {}

  absl::Status Print(const TemplateValue& value, int64_t level) {
    if (level > kMaxPrintedDepth) return TooDeep();
    if (absl::Status status = run_.ChargeText(text_, 0); !status.ok()) return status;
    if (const TemplateString* string = value.AsText()) {
      if (absl::Status status = ChargeEscaped(run_, *string, text_); !status.ok()) return status;
      AppendJsonString(*string, style_.ascii, text_);
    } else if (value.Is<TemplateNone>()) {
      text_.AppendTrusted("null");
    } else if (value.Is<bool>()) {
      text_.AppendTrusted(IsTrue(value) ? "true" : "false");
    } else if (const std::optional<int64_t> integer = value.AsInteger()) {
      text_.AppendTrusted(absl::StrCat(*integer));
    } else if (const std::optional<double> number = value.AsNumber()) {
      text_.AppendTrusted(FloatText(*number, "Infinity", "NaN"));
    } else if (const TemplateList* list = value.AsList()) {
      return PrintList(*list, level);
    } else if (const TemplateDict* dict = value.AsDict()) {
      return PrintDict(*dict, level);
    } else {
      return CannotPrint(value);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status PrintList(const TemplateList& list, int64_t level) {
    text_.AppendTrusted("[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (absl::Status status = Separate(i == 0, level + 1); !status.ok()) return status;
      if (absl::Status status = Print(list.items[i], level + 1); !status.ok()) return status;
    }
    if (!list.items.empty()) BreakLine(level);
    text_.AppendTrusted("]");
    return absl::OkStatus();
  }

  absl::Status PrintDict(const TemplateDict& dict, int64_t level) {
    text_.AppendTrusted("{");
    if (absl::Status status = run_.Charge(dict.entries.size()); !status.ok()) return status;
    std::vector<const std::pair<TemplateValue, TemplateValue>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sorts_keys) {
      absl::Status comparable;
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        if (!comparable.ok()) return false;
        const absl::StatusOr<bool> less = IsLess(run_, a->first, b->first);
        comparable.Update(less.status());
        return less.ok() && *less;
      });
      if (!comparable.ok()) return comparable;
    }
    for (size_t i = 0; i < entries.size(); ++i) {
      if (absl::Status status = Separate(i == 0, level + 1); !status.ok()) return status;
      if (absl::Status status = PrintKey(entries[i]->first); !status.ok()) return status;
      text_.Append(style_.behind_key);
      if (absl::Status status = Print(entries[i]->second, level + 1); !status.ok()) return status;
    }
    if (!dict.entries.empty()) BreakLine(level);
    text_.AppendTrusted("}");
    return absl::OkStatus();
  }

  absl::Status PrintKey(const TemplateValue& key) {
    if (key.AsText() != nullptr) return Print(key, 0);
    if (!key.AsNumber().has_value() && !key.Is<TemplateNone>()) return CannotPrint(key);
    text_.AppendTrusted("\"");
    absl::Status status = Print(key, 0);
    text_.AppendTrusted("\"");
    return status;
  }

  absl::Status Separate(bool is_first, int64_t level) {
    const size_t indent = style_.indent < 0 ? 0 : static_cast<size_t>(level * style_.indent);
    const size_t bytes = style_.between_items.cost() + style_.behind_key.cost() + indent;
    if (absl::Status status = run_.ChargeText(text_, bytes); !status.ok()) return status;
    if (!is_first) text_.Append(style_.between_items);
    BreakLine(level);
    return absl::OkStatus();
  }

  void BreakLine(int64_t level) {
    if (style_.indent < 0) return;
    text_.AppendTrusted(absl::StrCat("\n", std::string(static_cast<size_t>(level * style_.indent), ' ')));
  }

  TemplateRun& run_;
  const TemplateJsonStyle& style_;
  TemplateString& text_;
};

}  // namespace

absl::Status AppendText(TemplateRun& run, const TemplateValue& value, TemplateString& text) {
  if (const TemplateString* string = value.AsText()) {
    if (absl::Status status = run.ChargeText(text, string->size()); !status.ok()) return status;
    if (absl::Status status = run.ChargeBytes(string->cost() - string->size()); !status.ok()) return status;
    text.Append(*string);
  } else if (value.Is<TemplateNone>()) {
    text.AppendTrusted("None");
  } else if (value.Is<bool>()) {
    text.AppendTrusted(IsTrue(value) ? "True" : "False");
  } else if (const std::optional<int64_t> integer = value.AsInteger()) {
    text.AppendTrusted(absl::StrCat(*integer));
  } else if (const std::optional<double> number = value.AsNumber()) {
    text.AppendTrusted(FloatText(*number, "inf", "nan"));
  } else if (value.AsList() != nullptr || value.AsDict() != nullptr) {
    return AppendRepr(run, value, kMaxPrintedDepth, text);
  } else if (value.AsUndefined() == nullptr) {
    return CannotPrint(value);
  }
  return absl::OkStatus();
}

absl::StatusOr<TemplateString> ToText(TemplateRun& run, const TemplateValue& value) {
  TemplateString text;
  if (absl::Status status = run.Charge(TemplateRun::kStepsPerText); !status.ok()) return status;
  if (absl::Status status = AppendText(run, value, text); !status.ok()) return status;
  return text;
}

absl::Status AppendJson(TemplateRun& run, const TemplateValue& value, const TemplateJsonStyle& style,
                        TemplateString& text) {
  return JsonPrinter(run, style, text).Print(value, 0);
}

}  // namespace predictd
