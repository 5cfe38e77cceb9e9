#ifndef PREDICTD_SERVER_MODEL_FAILURE_REASON_H_
#define PREDICTD_SERVER_MODEL_FAILURE_REASON_H_

#include <filesystem>
#include <string>

#include "absl/strings/string_view.h"

namespace predictd {

// An error of LibTorch for the log, without the stack of C++ functions that ends some of them.
absl::string_view WithoutStackTrace(absl::string_view cause);

// Why a model could not be loaded, in a form for callers: one line of a few hundred bytes without stack traces, in
// which only the last names remain of the server's paths. `file` is the model's file, if it has one; it helps to
// recognise paths with spaces.
std::string FailureReason(absl::string_view cause, const std::filesystem::path& file = {});

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_FAILURE_REASON_H_
