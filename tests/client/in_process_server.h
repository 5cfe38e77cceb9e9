// A small server that speaks the protocol, for the client's tests.
#ifndef PREDICTD_TESTS_CLIENT_IN_PROCESS_SERVER_H_
#define PREDICTD_TESTS_CLIENT_IN_PROCESS_SERVER_H_

#include <grpcpp/server.h>

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "predictd/v1/model_service.grpc.pb.h"
#include "predictd/v1/prediction_service.grpc.pb.h"

namespace predictd {

// Serves on a free loopback port. Its models:
//   double  x FP32[-1,2] -> y = 2x, in the encoding of the request. A stream answers rows with a negative value with an
//           error if the request asks for errors per item.
//   small   the same, but takes only requests of up to 1100 bytes.
//   waits   never answers a Predict, and sends only the first rows of a stream; both end when the call is cancelled.
//   echo    a generator, see FakeGeneration; an answer that never ends, ends when the call is cancelled.
//   rude    the same, but its first piece is one of answer 7. The other models refuse requests for text.
//   busy    always RESOURCE_EXHAUSTED, with every kind of detail.
// What its ModelService knows of them and of others: MakeFakeModelService.
class TestServer {
 public:
  TestServer();
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  const std::string& address() const { return address_; }

  // A channel to it that uses no socket.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // The address of whoever made the last call to the prediction service.
  std::string last_peer() const;

  // The metadata of that call.
  std::multimap<std::string, std::string> last_metadata() const;

  // The last request for a stream.
  v1::PredictStreamRequest last_stream() const;

  // How many streams were asked for.
  int streams() const;

  // Notified when a call about `waits`, or one that `echo` never ends, has arrived and has been cancelled,
  // respectively. Works only once for each server.
  absl::Notification& waiting() { return waiting_; }
  absl::Notification& cancelled() { return cancelled_; }

 private:
  class Predictions;

  void Note(const grpc::CallbackServerContext& context);
  void NoteStream(const v1::PredictStreamRequest& request);

  const std::unique_ptr<v1::ModelService::CallbackService> models_;
  const std::unique_ptr<Predictions> predictions_;
  absl::Notification waiting_;
  absl::Notification cancelled_;
  mutable absl::Mutex mutex_;
  v1::PredictStreamRequest last_stream_ ABSL_GUARDED_BY(mutex_);
  std::string last_peer_ ABSL_GUARDED_BY(mutex_);
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;
  std::multimap<std::string, std::string> last_metadata_ ABSL_GUARDED_BY(mutex_);
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_CLIENT_IN_PROCESS_SERVER_H_
