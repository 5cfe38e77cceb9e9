#ifndef PREDICTD_SERVER_TORCH_LOG_H_
#define PREDICTD_SERVER_TORCH_LOG_H_

namespace predictd {

// Turns warnings of LibTorch and of modules on this thread, and what modules print on any thread, into records of our
// log, at most a few per minute. Otherwise they would go to stderr and stdout as lines of their own.
void RouteTorchLog();

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_LOG_H_
