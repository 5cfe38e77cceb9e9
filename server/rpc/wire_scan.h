#ifndef PREDICTD_SERVER_RPC_WIRE_SCAN_H_
#define PREDICTD_SERVER_RPC_WIRE_SCAN_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/rpc/wire_schema.h"

namespace predictd {

// What a message says of itself before anything is built of it.
struct WireScan {
  // How often each field comes, by its index in the schema. Of packed scalars with a limit the elements count, of those
  // without one the fields.
  std::vector<int64_t> counts;
  // The text of the field that was asked for; empty if it is not there, or longer than any name.
  std::string text;
  // The elements of packed fields that have many, in the order in which they come.
  struct Packed {
    const WireSchema::Field* field = nullptr;
    // Which of the messages that the field may be in, in their order.
    int64_t instance = 0;
    int64_t elements = 0;
  };
  std::vector<Packed> packed;
  // About how many bytes it will take once it is parsed, and how long parsing it will take.
  int64_t memory = 0;
  Duration parsing{};
  // False: it takes longer than the scan was allowed to find, which ended there.
  bool complete = true;
};

// Walks through the bytes of a message once, without copying them and without recursion by what is in them.
// Two bytes may become an object of hundreds, so who counts only after parsing counts too late. INVALID_ARGUMENT names
// the field of which there are more than the schema allows, or says that the bytes are no message of that type. Ends as
// soon as it knows that parsing takes longer than `most`.
absl::StatusOr<WireScan> ScanWire(grpc::ByteBuffer& bytes, const WireSchema& schema, const WireSchema::Field& text,
                                  Duration most);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_WIRE_SCAN_H_
