#ifndef PREDICTD_SERVER_PROCESS_WORKING_DIRECTORY_H_
#define PREDICTD_SERVER_PROCESS_WORKING_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"

namespace predictd {

// Changes to "/" if the folder that the process was started in has been removed, and remembers that. An initialiser of
// LibTorch's mathematics ends the process if it finds no working directory, so this is to be called before the
// initialisers of the libraries, and makes system calls only.
void LeaveRemovedWorkingDirectory();

bool WorkingDirectoryWasRemoved();

// Makes a path that is relative to the working directory absolute; an empty path stays empty. Returns
// FAILED_PRECONDITION if the path leads nowhere because the directory has been removed.
absl::Status MakeAbsolute(std::string& path);

}  // namespace predictd

#endif  // PREDICTD_SERVER_PROCESS_WORKING_DIRECTORY_H_
