// Calls where nobody listens, and wants to be told so.
#include <iostream>
#include <vector>

#include "absl/time/time.h"
#include "client/client.h"
#include "client/tensor_builder.h"

#ifdef OWN_GOOGLE_RPC
bool HasOwnGoogleRpc();
#else
bool HasOwnGoogleRpc() {
  return false;
}
#endif

int main() {
  const int unused = HasOwnGoogleRpc() ? 1 : 0;  // A warning, which in predictd's own build would be an error.
  const auto client = predictd::Client::Create({.address = "127.0.0.1:1"});
  if (!client.ok()) return std::cerr << client.status() << "\n", 1;
  predictd::v1::PredictRequest request;
  request.set_model_name("digits");
  auto image = predictd::MakeTensor<float>("image", {1, 2}, std::vector<float>{1, 2});
  if (!image.ok()) return std::cerr << image.status() << "\n", 1;
  *request.add_inputs() = *std::move(image);
  const auto answer = (*client)->Predict(request, {.deadline = absl::Seconds(10)});
  std::cout << answer.status() << "\n";
  return absl::IsUnavailable(answer.status()) ? 0 : 1;
}
