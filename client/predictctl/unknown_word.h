// Words on a command line that have no meaning.
#ifndef PREDICTD_CLIENT_PREDICTCTL_UNKNOWN_WORD_H_
#define PREDICTD_CLIENT_PREDICTCTL_UNKNOWN_WORD_H_

#include <string>

namespace CLI {
class App;
}

namespace predictd {

// The first argument that is neither an option nor the value of one, which should name a command; empty if there is
// none.
std::string CommandOf(const CLI::App& app, int argc, const char* const* argv);

// Whether `app` has a command with that name.
bool IsCommand(const CLI::App& app, const std::string& word);

// The error for a command line without a command.
std::string MissingCommand(const CLI::App& app);

// The error for a word that names no command of `app`.
std::string UnknownCommand(const CLI::App& app, const std::string& word);

// The error for the first word that the parser could not use, of a command or of `app` itself.
std::string UnknownArgument(const CLI::App& app);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_UNKNOWN_WORD_H_
