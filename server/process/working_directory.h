#ifndef PREDICTD_SERVER_PROCESS_WORKING_DIRECTORY_H_
#define PREDICTD_SERVER_PROCESS_WORKING_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"

namespace predictd {

// Goes to "/" if the folder that the process was started in has been removed, and remembers it: an initialiser of
// LibTorch's mathematics ends the process when it finds none. So this is to be called before those of the libraries,
// and makes system calls only.
void LeaveRemovedWorkingDirectory();

bool WorkingDirectoryWasRemoved();

// Makes a path that is relative to the working directory absolute; one that is empty stays so. FAILED_PRECONDITION if
// it leads nowhere, as the directory has been removed.
absl::Status MakeAbsolute(std::string& path);

}  // namespace predictd

#endif  // PREDICTD_SERVER_PROCESS_WORKING_DIRECTORY_H_
