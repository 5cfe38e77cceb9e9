#ifndef PREDICTD_SERVER_SERVICES_FIELD_ERRORS_H_
#define PREDICTD_SERVER_SERVICES_FIELD_ERRORS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace predictd {

// Collects what is wrong with the fields of one request, so that the caller learns of everything at once.
class FieldErrors {
 public:
  // `field` is a path such as `inputs[0].shape[1]`; `description` says what was expected and what came. Both may
  // contain text from the caller: they are made valid UTF-8 and truncated.
  void Add(absl::string_view field, absl::string_view description);

  bool empty() const { return errors_.empty(); }
  // Whether further errors are dropped, so that a loop that looks for errors can end.
  bool full() const;

  // INVALID_ARGUMENT with a google.rpc.BadRequest; OK if nothing was added.
  absl::Status ToStatus() const;

 private:
  struct Error {
    std::string field;
    std::string description;
  };
  std::vector<Error> errors_;
  // The size of everything that was added.
  size_t bytes_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_FIELD_ERRORS_H_
