#include "client/predictctl/repeatable_option.h"

#include <CLI/CLI.hpp>

namespace predictd {

void AddRepeatable(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                   const std::string& placeholder, const std::string& description) {
  // CLI11 would split a value that is in brackets, were it allowed to take several at once.
  app.add_option(name, values, description)->type_name(placeholder)->allow_extra_args(false);
}

}  // namespace predictd
