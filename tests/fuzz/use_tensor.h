// What predictctl does with a tensor that it has read.
#ifndef PREDICTD_TESTS_FUZZ_USE_TENSOR_H_
#define PREDICTD_TESTS_FUZZ_USE_TENSOR_H_

#include "predictd/v1/tensor.pb.h"

namespace predictd {

// Encodes, cuts, casts, prints and saves a raw tensor in every way, and requires that it stays what it is where nothing
// may change.
void UseTensor(const v1::Tensor& tensor);

}  // namespace predictd

#endif  // PREDICTD_TESTS_FUZZ_USE_TENSOR_H_
