#ifndef PREDICTD_SERVER_TEMPLATE_CHAT_VALUE_H_
#define PREDICTD_SERVER_TEMPLATE_CHAT_VALUE_H_

#include <cstdint>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace predictd {

struct ChatMember;

// A value that a caller gives a chat template besides the messages, with the types of JSON. It refers to texts that
// must outlive it.
struct ChatValue {
  using List = std::vector<ChatValue>;
  // In the order in which the template sees them.
  using Dict = std::vector<ChatMember>;

  std::variant<std::monostate, bool, int64_t, double, absl::string_view, List, Dict> value;
};

struct ChatMember {
  absl::string_view name;
  ChatValue value;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_CHAT_VALUE_H_
