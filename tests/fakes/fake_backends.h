#ifndef PREDICTD_TESTS_FAKES_FAKE_BACKENDS_H_
#define PREDICTD_TESTS_FAKES_FAKE_BACKENDS_H_

#include "server/model/backend.h"

namespace predictd {

// Backends with the files and the warm-up rounds of the real ones, for tests that load their models by other means.
inline const Backend kFakeBackends[] = {
    {.name = "scripts", .format = "a script", .file_name = "model.pt", .warm_up_rounds = 3},
    {.name = "packages", .format = "a package", .file_name = "model.pt2", .warm_up_rounds = 1}};
inline const Backend& kFakeScripts = kFakeBackends[0];
inline const Backend& kFakePackages = kFakeBackends[1];

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_FAKE_BACKENDS_H_
