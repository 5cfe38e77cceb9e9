#ifndef PREDICTD_SERVER_MODEL_TORCH_ERRORS_H_
#define PREDICTD_SERVER_MODEL_TORCH_ERRORS_H_

#include <c10/util/Exception.h>

#include <exception>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/match.h"

namespace predictd {

// What LibTorch says of itself. That there is no memory has no type of its own.
inline absl::Status StatusOf(const c10::Error& error) {
  const char* const what = error.what_without_backtrace();
  if (absl::StrContains(what, "can't allocate memory")) return absl::ResourceExhaustedError(what);
  return absl::InternalError(what);
}

// Calls what may throw. LibTorch throws; everything behind this boundary is a Status: RESOURCE_EXHAUSTED if there was
// no memory, otherwise INTERNAL with the cause.
template <class Function>
auto CatchAll(Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const c10::Error& error) {
    return StatusOf(error);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("the model has no memory");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  } catch (...) {
    return absl::InternalError("the model threw something that is no exception");
  }
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TORCH_ERRORS_H_
