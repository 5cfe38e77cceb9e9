#ifndef PREDICTD_SERVER_MODEL_MODEL_H_
#define PREDICTD_SERVER_MODEL_MODEL_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/input_limits.h"
#include "server/model/tensor.h"

namespace predictd {

// What an answer depends on apart from its request, as in "it assigns self.last"; empty if no such dependency is known.
struct Caveats {
  // How it depends on earlier runs.
  std::string state = {};
  // How it depends on chance.
  std::string chance = {};
};

// A loaded version of a tensor model, whichever backend runs it. Thread-safe.
class Model {
 public:
  virtual ~Model() = default;

  // Computes on this thread. `inputs` are in the signature's order and agree with it. The outputs must do so too, which
  // the caller checks. Never throws: any failure inside is INTERNAL with the cause (not for callers' eyes).
  virtual absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs) = 0;

  // Whether the duration of a run depends only on the inputs' shapes and not on their elements. Only such models run on
  // an event loop. False if it cannot be told.
  virtual bool cost_depends_on_shapes_only() const { return false; }

  // Discards what the runs so far, which served no request, left in the model, if its code is known to have state. Only
  // while no run is in progress.
  virtual void ForgetRuns() {}

  // Treats the model from now on as one with state, because runs have shown that answers depend on earlier ones
  // although its code does not tell so. Only while no run is in progress.
  virtual void RunOneAtATime() {}

  // What the model's code reveals, without a run. A model with state runs one batch at a time, whoever calls; callers
  // on other threads block meanwhile, so they should not call.
  virtual const Caveats& caveats() const {
    static const Caveats kNone;
    return kNone;
  }

  // What the model requires of its inputs beyond the signature. Callers of Run must have checked that.
  virtual const InputLimits& input_limits() const {
    static const InputLimits kNone;
    return kNone;
  }
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_MODEL_H_
