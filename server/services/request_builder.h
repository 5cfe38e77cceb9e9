#ifndef PREDICTD_SERVER_SERVICES_REQUEST_BUILDER_H_
#define PREDICTD_SERVER_SERVICES_REQUEST_BUILDER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/async/clock.h"
#include "server/engine/inference.h"
#include "server/services/field_errors.h"
#include "server/services/shared_memory_regions.h"
#include "server/services/tensor_encoding.h"
#include "server/serving/served_version.h"

namespace predictd {

// A decoded request for a tensor model, of any protocol: which version runs which inputs, and how the answer is to be
// encoded.
struct DecodedPredict {
  std::shared_ptr<const ServedVersion> version;
  // That of the version; null if it has none, or if the caller does not want it.
  ResponseCache* cache = nullptr;
  // Its deadline is left to the handler.
  InferenceRequest inference;
  // Indices into the signature's outputs.
  absl::InlinedVector<int, 8> outputs;
  Encoding encoding = Encoding::kTyped;
  std::string request_id;
  // How long the answer may take, if the request says so beside the call's deadline.
  std::optional<Duration> timeout = {};
  // The names of parameters that have no effect.
  std::string ignored_parameters;
  // Where outputs go that the caller does not want in the answer; empty if it wants all there.
  std::vector<std::optional<SharedPlace>> shared_outputs = {};

  // That of the i-th of `outputs`; null if it belongs in the answer.
  const SharedPlace* SharedOutput(size_t i) const {
    return i < shared_outputs.size() && shared_outputs[i].has_value() ? &*shared_outputs[i] : nullptr;
  }
};

// Checks what a request asks for against the signature of its version, and collects it. Every protocol's codec has one,
// so that all say the same of what is wrong. Both protocols call the fields `inputs` and `outputs`, and an input's
// `shape`; field paths begin with `prefix`.
class RequestBuilder {
 public:
  // Checks against the version's signature, or another one, which outlives the builder.
  RequestBuilder(std::shared_ptr<const ServedVersion> target, std::string prefix, const Signature* signature = nullptr);

  // To be called for each input of the request in turn, then EndInputs once. `decode(spec, path)` returns the tensor of
  // the input at `path`, or adds an error and returns nullopt.
  template <class Decode>
  void AddInput(const std::string& name, Decode decode) {
    const int place = inputs_added_++;
    const std::string path = absl::StrCat(prefix_, "inputs[", place, "]");
    const std::optional<size_t> index = TakeInput(name, place, path);
    if (index.has_value()) inputs_[*index].tensor = decode(signature().inputs[*index], path);
  }
  void EndInputs();

  // To be called for each output that the request names, `path` being where, then EndOutputs once.
  void AddOutput(const std::string& name, absl::string_view path);
  void EndOutputs();

  // These may be called only after EndInputs. The first checks that there are as many rows as one run takes, and its
  // error advises, in `otherwise`, on what to do with more.
  void CheckRowsOfOneRun(absl::string_view otherwise) { CheckRows(signature().max_batch_size, otherwise); }
  void CheckRows(int64_t max_rows, absl::string_view otherwise = "");
  // Checks what the model requires beyond its signature.
  void CheckLimits();

  const Signature& signature() const { return signature_; }
  const std::string& prefix() const { return prefix_; }

  FieldErrors errors;
  DecodedPredict decoded;

 private:
  struct Input {
    // Where it is in the request; -1 if it is not there.
    int place = -1;
    std::optional<Tensor> tensor;
  };

  // The index of the input in the signature, if the name is right.
  std::optional<size_t> TakeInput(const std::string& name, int place, const std::string& path);
  std::string ShapePath(size_t input) const;

  const Signature& signature_;
  const std::string prefix_;
  int inputs_added_ = 0;
  absl::InlinedVector<Input, 4> inputs_;
};

// RESOURCE_EXHAUSTED if no message can hold the outputs that the request asks for; `advice` says how to get fewer
// bytes.
absl::Status CheckAnswerSize(const DecodedPredict& request, absl::Span<const Tensor> outputs, absl::string_view advice);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_REQUEST_BUILDER_H_
