#ifndef PREDICTD_SERVER_SERVICES_WIRE_SCAN_H_
#define PREDICTD_SERVER_SERVICES_WIRE_SCAN_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/services/wire_schema.h"

namespace predictd {

// What the bytes of a message say about it before anything is built from them.
struct WireScan {
  // How often each field comes, by its index in the schema. For packed scalars with a limit the elements are counted,
  // for those without a limit the fields.
  std::vector<int64_t> counts;
  // The text of the requested field; empty if the field is absent, or longer than any name.
  std::string text;
  // The packed fields that have many elements, in the order in which they come.
  struct Packed {
    const WireSchema::Field* field = nullptr;
    // Which of the repeated messages that contain the field this one is in, counted in their order.
    int64_t instance = 0;
    int64_t elements = 0;
  };
  std::vector<Packed> packed;
  // About how many bytes the message will take once it is parsed, and how long parsing it will take.
  int64_t memory = 0;
  Duration parsing{};
  // False if parsing takes longer than `most`: the scan ended when it knew that.
  bool complete = true;
};

// Walks through the bytes of a message once, without copying them and without recursion that depends on their contents.
// Two bytes may become an object of hundreds, so counting only after parsing is too late. INVALID_ARGUMENT names the
// field that comes more often than the schema allows, or says that the bytes are not a message of that type. Ends as
// soon as it knows that parsing takes longer than `most`.
absl::StatusOr<WireScan> ScanWire(grpc::ByteBuffer& bytes, const WireSchema& schema, const WireSchema::Field& text,
                                  Duration most);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_WIRE_SCAN_H_
