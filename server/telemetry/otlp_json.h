#ifndef PREDICTD_SERVER_TELEMETRY_OTLP_JSON_H_
#define PREDICTD_SERVER_TELEMETRY_OTLP_JSON_H_

#include <opentelemetry/nostd/span.h>
#include <opentelemetry/sdk/trace/recordable.h>

#include <memory>
#include <string>

namespace predictd {

// Returns one line with the spans, which are SpanData of one resource and scope, as a TracesData message in OTLP's JSON
// encoding (ids in hexadecimal, enums as numbers, 64-bit integers as strings). Collectors read it. Private to the
// telemetry library.
std::string ToOtlpJsonLine(
    const opentelemetry::nostd::span<std::unique_ptr<opentelemetry::sdk::trace::Recordable>>& spans);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_OTLP_JSON_H_
