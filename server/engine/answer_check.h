#ifndef PREDICTD_SERVER_ENGINE_ANSWER_CHECK_H_
#define PREDICTD_SERVER_ENGINE_ANSWER_CHECK_H_

#include <cstdint>
#include <string>

#include "server/async/clock.h"
#include "server/model/model.h"
#include "server/model/signature.h"

namespace predictd {

struct AnswerCheck {
  // What is wrong with the answers, as a message for an operator; empty if nothing is.
  std::string wrong = {};
  // Whether answers may depend on what ran before.
  bool may_remember = false;
};

// Runs the model on a few made-up rows, on this thread: one row alone, the same again, beside another row, and in
// another order. Reports nothing about a model that does not take the rows or is slow. Open dimensions that model.toml
// gives no extent for get `open_extent`.
AnswerCheck CheckAnswers(Model& model, const Signature& signature, const Clock& clock, int64_t open_extent = 1);

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_ANSWER_CHECK_H_
