#include "client/predictctl/repeatable_option.h"

#include <CLI/CLI.hpp>

namespace predictd {

void AddRepeatable(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                   const std::string& placeholder, const std::string& description) {
  // If one option could take several values, CLI11 would split a value in brackets.
  app.add_option(name, values, description)->type_name(placeholder)->allow_extra_args(false);
}

}  // namespace predictd
