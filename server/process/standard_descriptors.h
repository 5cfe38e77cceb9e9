#ifndef PREDICTD_SERVER_PROCESS_STANDARD_DESCRIPTORS_H_
#define PREDICTD_SERVER_PROCESS_STANDARD_DESCRIPTORS_H_

namespace predictd {

// Opens those of the descriptors 0 to 2 that whoever started the process had closed, on /dev/null. Otherwise the next
// file or socket would get the number, and the log would be written into it. Before anything else is opened.
void OpenStandardDescriptors();

}  // namespace predictd

#endif  // PREDICTD_SERVER_PROCESS_STANDARD_DESCRIPTORS_H_
