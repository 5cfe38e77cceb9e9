#ifndef PREDICTD_SERVER_CONFIG_SERVICE_LINK_H_
#define PREDICTD_SERVER_CONFIG_SERVICE_LINK_H_

#include <string_view>

namespace predictd {

// Returns whether a variable is one of those that Kubernetes sets in every container for each service of the namespace,
// as Docker's links did. For a service named predictd they are PREDICTD_SERVICE_HOST,
// PREDICTD_PORT=tcp://10.0.0.1:8500, PREDICTD_PORT_8500_TCP_ADDR and more. Nobody wrote them, so they do not count as
// mistaken options.
bool IsServiceLink(std::string_view name, std::string_view value);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_SERVICE_LINK_H_
