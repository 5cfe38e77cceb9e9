#ifndef PREDICTD_TESTS_BENCH_TRANSPORT_ECHO_STREAM_H_
#define PREDICTD_TESTS_BENCH_TRANSPORT_ECHO_STREAM_H_

#include <grpcpp/grpcpp.h>

#include "predictd/v1/prediction_service.grpc.pb.h"

namespace predictd::bench {

// What the echo's completion queues deliver.
class EchoTag {
 public:
  virtual ~EchoTag() = default;
  // Takes the next step after a completion.
  virtual void Proceed(bool ok) = 0;
};

// Waits on `queue` for one PredictStream call, and echoes it: each row of the first input comes back as output `y` in a
// message of its own, framed by the start and the summary that predictd sends. One message at a time: each Write's tag
// is awaited. Only the queue's thread touches the call.
void PostStreamEcho(v1::PredictionService::AsyncService& service, grpc::ServerCompletionQueue& queue);

}  // namespace predictd::bench

#endif  // PREDICTD_TESTS_BENCH_TRANSPORT_ECHO_STREAM_H_
