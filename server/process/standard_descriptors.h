#ifndef PREDICTD_SERVER_PROCESS_STANDARD_DESCRIPTORS_H_
#define PREDICTD_SERVER_PROCESS_STANDARD_DESCRIPTORS_H_

namespace predictd {

// Opens on /dev/null those of the descriptors 0 to 2 that the process was started without. Otherwise the next file or
// socket would get the number, and the log would be written into it. To be called before anything else is opened.
void OpenStandardDescriptors();

}  // namespace predictd

#endif  // PREDICTD_SERVER_PROCESS_STANDARD_DESCRIPTORS_H_
