#ifndef PREDICTD_SERVER_PORT_FILE_H_
#define PREDICTD_SERVER_PORT_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/files/atomic_file.h"

namespace predictd {

// Writes a port that was bound to a file, for whoever has asked for a free one; an empty name means that nobody has.
inline absl::Status WritePort(const std::string& file, int port) {
  if (file.empty()) return absl::OkStatus();
  return WriteFileAtomically(file, absl::StrCat(port, "\n"));
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_PORT_FILE_H_
