#ifndef PREDICTD_SERVER_TORCH_ERRORS_H_
#define PREDICTD_SERVER_TORCH_ERRORS_H_

#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/model/missing_operator.h"

namespace predictd {

// LibTorch has no type for running out of memory. Its allocator, TorchScript's interpreter (which reports exceptions by
// their text), oneDNN and our operators only have words for it.
inline absl::Status StatusOf(absl::string_view what) {
  for (const char* words : {"can't allocate memory", "std::bad_alloc", "out of memory", "no memory for"}) {
    const size_t found = what.find(words);
    if (found == absl::string_view::npos) continue;
    // Keeps only that line: where in the model it happened is of no use.
    const size_t begin = what.rfind('\n', found) + 1;
    return absl::ResourceExhaustedError(what.substr(begin, what.find('\n', found) - begin));
  }
  return absl::InternalError(what);
}

// Calls a function that may throw. LibTorch throws; beyond this boundary every error is a Status: RESOURCE_EXHAUSTED if
// there was no memory, otherwise INTERNAL with the cause.
template <class Function>
auto CatchAll(Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const c10::Error& error) {
    return StatusOf(error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("the model has no memory");
  } catch (const std::exception& error) {
    return StatusOf(error.what());
  } catch (...) {
    return absl::InternalError("the model threw something that is no exception");
  }
}

// The same for a function that loads a model. If LibTorch does not have an operator of the model, the error is
// FAILED_PRECONDITION and says how to provide it.
template <class Function>
auto CatchLoading(Function function) -> decltype(function()) {
  auto loaded = CatchAll(std::move(function));
  if (!loaded.ok()) return ExplainMissingOperator(loaded.status());
  return loaded;
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_ERRORS_H_
