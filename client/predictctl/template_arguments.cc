#include "client/predictctl/template_arguments.h"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/predictctl/json_text.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

void Convert(const Json& from, v1::TemplateValue& to) {
  switch (from.type()) {
    case Json::value_t::boolean:
      to.set_bool_value(from.get<bool>());
      break;
    case Json::value_t::number_integer:
      to.set_int64_value(from.get<int64_t>());
      break;
    case Json::value_t::number_unsigned:
      // JSON's integers have no largest one.
      if (from.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
        to.set_double_value(from.get<double>());
      } else {
        to.set_int64_value(from.get<int64_t>());
      }
      break;
    case Json::value_t::number_float:
      to.set_double_value(from.get<double>());
      break;
    case Json::value_t::string:
      to.set_string_value(from.get<std::string>());
      break;
    case Json::value_t::array:
      to.mutable_list_value();
      for (const Json& item : from) Convert(item, *to.mutable_list_value()->add_values());
      break;
    case Json::value_t::object:
      to.mutable_dict_value();
      for (const auto& [key, item] : from.items()) Convert(item, (*to.mutable_dict_value()->mutable_entries())[key]);
      break;
    default:
      break;
  }
}

// The argument as an error shows it.
std::string Shortened(const std::string& argument) {
  constexpr size_t kLongest = 60;
  return argument.size() <= kLongest ? argument : absl::StrCat(argument.substr(0, kLongest), "...");
}

}  // namespace

absl::StatusOr<TemplateArguments> ReadTemplateArguments(const std::vector<std::string>& arguments) {
  TemplateArguments result;
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    const bool named = equals != std::string::npos && equals > 0;
    const absl::StatusOr<Json> json = named ? ParseJson(argument.substr(equals + 1), NonFinite::kRefused)
                                            : absl::InvalidArgumentError("without a name");
    if (!json.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--template-arg: expected NAME=JSON, as enable_thinking=false or ",
                                                     "level='\"high\"', got '", Shortened(argument),
                                                     "': ", json.status().message()));
    }
    v1::TemplateValue& value = result[argument.substr(0, equals)];
    value.Clear();
    Convert(*json, value);
  }
  return result;
}

}  // namespace predictd
