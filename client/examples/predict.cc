// Asks a model for a prediction, and prints it: what client/README.md shows, as a whole program.
//
//     build/client/examples/predict localhost:8500
#include <iostream>

#include "client/client.h"
#include "client/tensor_builder.h"

int main(int argc, char** argv) {
  const predictd::ClientOptions options{
      .address = argc > 1 ? argv[1] : "localhost:8500",
      // Without this, answers above 64 MiB would fail with RESOURCE_EXHAUSTED.
      .max_receive_bytes = std::int64_t{256} << 20,
  };
  const auto client = predictd::Client::Create(options);
  if (!client.ok()) {
    std::cerr << client.status() << "\n";
    return 1;
  }
  const std::vector<float> pixels(64);
  const auto image = predictd::MakeTensor<float>("image", {1, 1, 8, 8}, pixels);
  if (!image.ok()) {
    std::cerr << image.status() << "\n";
    return 1;
  }
  predictd::v1::PredictRequest request;
  request.set_model_name("digits");
  *request.add_inputs() = *image;
  const auto answer = (*client)->Predict(request, {.deadline = absl::Seconds(1)});
  if (!answer.ok()) {
    std::cerr << answer.status() << "\n";
    return 1;
  }
  for (const predictd::v1::Tensor& output : answer->outputs()) {
    if (output.name() != "probabilities") continue;
    const auto probabilities = predictd::TensorValues<float>(output);
    if (!probabilities.ok()) return 1;
    for (const float probability : *probabilities) std::cout << probability << " ";
    std::cout << "\n";
  }
  return 0;
}
