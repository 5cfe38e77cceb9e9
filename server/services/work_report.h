#ifndef PREDICTD_SERVER_SERVICES_WORK_REPORT_H_
#define PREDICTD_SERVER_SERVICES_WORK_REPORT_H_

#include <cstdint>
#include <string_view>

#include "server/async/clock.h"
#include "server/engine/inference.h"
#include "server/generation/generation.h"
#include "server/rpc/call_report.h"

namespace predictd {

// What the handlers of this folder add to a call's report. This file knows the names of the times, figures and child
// spans.

void ReportDecoding(CallReport& report, TimePoint started, TimePoint ended);

// A stream reports each of its inferences.
void ReportInference(CallReport& report, const InferenceTimings& timings);

// Reports what a generator did for the call.
void ReportGeneration(CallReport& report, const GenerationTimings& timings);

// Reports the outcome of asking the response cache: "hit", "miss" or "bypass".
void ReportCacheLookup(CallReport& report, std::string_view outcome, TimePoint started, TimePoint ended);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_WORK_REPORT_H_
