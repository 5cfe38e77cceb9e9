#ifndef PREDICTD_SERVER_MODEL_TORCH_ERRORS_H_
#define PREDICTD_SERVER_MODEL_TORCH_ERRORS_H_

#include <c10/util/Exception.h>

#include <exception>

#include "absl/status/status.h"

namespace predictd {

// Calls what may throw. LibTorch throws; everything behind this boundary is a Status.
template <class Function>
auto CatchAll(Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  } catch (...) {
    return absl::InternalError("the model threw something that is no exception");
  }
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TORCH_ERRORS_H_
