// Which versions of a model get its requests, for people.
#ifndef PREDICTD_CLIENT_PREDICTCTL_TRAFFIC_TEXT_H_
#define PREDICTD_CLIENT_PREDICTCTL_TRAFFIC_TEXT_H_

#include <ostream>
#include <string>

#include "predictd/v1/model_service.pb.h"

namespace predictd {

// The arguments of `predictctl split MODEL` that set it: "2=95 3=5 --shadow 4=0.1".
std::string TrafficText(const v1::TrafficSplit& traffic);

// Prints a table of the shares, and a line each for the copies and the rollback.
void PrintTraffic(const v1::TrafficSplit& traffic, std::ostream& out);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_TRAFFIC_TEXT_H_
