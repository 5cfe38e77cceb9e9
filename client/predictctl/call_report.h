// How a call ended, for people.
#ifndef PREDICTD_CLIENT_PREDICTCTL_CALL_REPORT_H_
#define PREDICTD_CLIENT_PREDICTCTL_CALL_REPORT_H_

#include <string>

#include "client/call_info.h"
#include "client/error_details.h"

namespace predictd {

// "INVALID_ARGUMENT: message", then a line for each wrong field and one with the advice on retrying. Each line after
// the first starts with `indent`, and all end with a newline. A message that only repeats a field is left out.
std::string ErrorText(const ErrorDetails& error, const std::string& indent);

// "queue 0.04 ms, forward 0.31 ms, batch 8, round trip 0.90 ms", without a newline.
std::string TimingsText(const CallInfo& info);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_CALL_REPORT_H_
