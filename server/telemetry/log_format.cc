#include "server/telemetry/log_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <type_traits>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

constexpr size_t kMaxMessage = 4096;
constexpr size_t kMaxKey = 128;
constexpr size_t kMaxValue = 2048;
// How many bytes strings may fill; numbers, keys and punctuation come on top.
constexpr size_t kMaxLine = 7 << 10;

// Terminals and log viewers act on these characters or break the line at them: C0, DEL, C1, and the Unicode line and
// paragraph separators.
bool IsControl(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029;
}

// Returns one character as it is written in a line. The escapes are those of JSON strings. With `quoted`, quotes and
// backslashes are escaped, too.
std::string_view EscapedChar(std::string_view bytes, char32_t code_point, bool quoted, std::string& buffer) {
  if (code_point == '\n') return "\\n";
  if (code_point == '\r') return "\\r";
  if (code_point == '\t') return "\\t";
  if (code_point == 0xFFFD) return "\xEF\xBF\xBD";
  if (IsControl(code_point)) {
    buffer = absl::StrFormat("\\u%04x", static_cast<uint32_t>(code_point));
  } else if (quoted && code_point == '"') {
    return "\\\"";
  } else if (quoted && code_point == '\\') {
    return "\\\\";
  } else {
    return bytes;
  }
  return buffer;
}

// Appends `text` as valid UTF-8 on one line. The escaped text is cut at `max_bytes`, and the cut is marked.
void AppendEscaped(std::string& out, std::string_view text, size_t max_bytes, bool quoted) {
  const size_t end = out.size() + max_bytes;
  std::string buffer;
  while (!text.empty()) {
    const Utf8Step next = NextUtf8({text.data(), text.size()});
    const std::string_view escaped = EscapedChar(text.substr(0, next.length), next.code_point, quoted, buffer);
    if (out.size() + escaped.size() > end) {
      out += "\xE2\x80\xA6";
      return;
    }
    out += escaped;
    text.remove_prefix(next.length);
  }
}

void AppendQuoted(std::string& out, std::string_view text, size_t max_bytes) {
  out += '"';
  AppendEscaped(out, text, max_bytes, /*quoted=*/true);
  out += '"';
}

// How many bytes of a line a value may take: all values together have a limit, too.
size_t Room(const std::string& line) {
  return std::min(kMaxValue, kMaxLine - std::min(line.size(), kMaxLine));
}

// Returns whether `text` can be written in a text line as it is, without being taken for anything but one key or value.
bool IsBareWord(std::string_view text) {
  if (text.empty() || text.size() > kMaxKey) return false;
  for (const char c : text) {
    if (c <= ' ' || c >= 0x7F || c == '"' || c == '=' || c == '\\') return false;
  }
  return true;
}

void AppendWord(std::string& out, std::string_view text, size_t max_bytes) {
  if (IsBareWord(text)) {
    out += text;
  } else {
    AppendQuoted(out, text, max_bytes);
  }
}

// JSON has no literals for values that are not finite, so they are strings there.
void AppendDouble(std::string& out, double value, bool json) {
  if (!std::isfinite(value)) {
    const std::string_view name = std::isnan(value) ? "NaN" : (value > 0 ? "Infinity" : "-Infinity");
    if (json) out += '"';
    out += name;
    if (json) out += '"';
    return;
  }
  std::array<char, 32> buffer;
  const std::to_chars_result result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out.append(buffer.data(), result.ptr);
}

void AppendValue(std::string& out, const FieldValue& value, bool json) {
  std::visit(
      [&out, json](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          if (json) {
            AppendQuoted(out, v, Room(out));
          } else {
            AppendWord(out, v, Room(out));
          }
        } else if constexpr (std::is_same_v<T, double>) {
          AppendDouble(out, v, json);
        } else if constexpr (std::is_same_v<T, bool>) {
          out += v ? "true" : "false";
        } else {
          absl::StrAppend(&out, v);
        }
      },
      value.variant());
}

void AppendTime(std::string& out, std::chrono::system_clock::time_point time) {
  const auto micros = std::chrono::floor<std::chrono::microseconds>(time);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(micros);
  const std::time_t since_epoch = seconds.time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&since_epoch, &utc);
  absl::StrAppendFormat(&out, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                        utc.tm_hour, utc.tm_min, utc.tm_sec, (micros - seconds).count());
}

std::string_view JsonLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "unknown";
}

std::string_view TextLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO ";
    case LogLevel::kWarning:
      return "WARN ";
    case LogLevel::kError:
      return "ERROR";
  }
  return "?????";
}

}  // namespace

std::string FormatLogLine(LogFormat format, std::chrono::system_clock::time_point time, LogLevel level,
                          std::string_view message, absl::Span<const LogField> fields) {
  const bool json = format == LogFormat::kJson;
  std::string line;
  line.reserve(256);
  if (json) {
    line += R"({"ts":")";
    AppendTime(line, time);
    line += R"(","level":")";
    line += JsonLevel(level);
    line += R"(","msg":)";
    AppendQuoted(line, message, kMaxMessage);
  } else {
    AppendTime(line, time);
    line += ' ';
    line += TextLevel(level);
    line += ' ';
    AppendEscaped(line, message, kMaxMessage, /*quoted=*/false);
  }
  for (const LogField& field : fields) {
    if (json) {
      line += ',';
      AppendQuoted(line, field.key, kMaxKey);
      line += ':';
    } else {
      line += ' ';
      AppendWord(line, field.key, kMaxKey);
      line += '=';
    }
    AppendValue(line, field.value, json);
  }
  line += json ? "}\n" : "\n";
  return line;
}

}  // namespace predictd
