#include "server/torch/threads.h"

#include <ATen/Parallel.h>

#include "server/torch/log.h"

namespace predictd {

void InitTorchThread(int intra_op_threads) {
  at::set_num_threads(intra_op_threads);
  RouteTorchLog();
}

void LimitTorchThreads(int cores) {
  at::set_num_interop_threads(cores);
}

}  // namespace predictd
