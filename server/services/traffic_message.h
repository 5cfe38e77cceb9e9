#ifndef PREDICTD_SERVER_SERVICES_TRAFFIC_MESSAGE_H_
#define PREDICTD_SERVER_SERVICES_TRAFFIC_MESSAGE_H_

#include <predictd/v1/model_service.pb.h>

#include "server/model/traffic_split.h"

namespace predictd {

void FillTraffic(const TrafficSplit& split, v1::TrafficSplit& message);

// What the message says, which may be wrong (TrafficSplit::Check).
TrafficSplit ReadTraffic(const v1::TrafficSplit& message);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_TRAFFIC_MESSAGE_H_
