// A model in one line.
#ifndef PREDICTD_CLIENT_PREDICTCTL_MODEL_LINE_H_
#define PREDICTD_CLIENT_PREDICTCTL_MODEL_LINE_H_

#include <string>

#include "predictd/v1/model_service.pb.h"

namespace predictd {

// "3 ready, 4 loading", or "not loaded".
std::string VersionsText(const v1::Model& model);

// "NAME  VERSIONS", and after two further spaces what splits its traffic, if anything does.
std::string ModelLine(const v1::Model& model);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_MODEL_LINE_H_
