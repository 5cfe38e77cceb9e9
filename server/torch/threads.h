#ifndef PREDICTD_SERVER_TORCH_THREADS_H_
#define PREDICTD_SERVER_TORCH_THREADS_H_

namespace predictd {

// Sets this thread's number of LibTorch intra-op threads. Every thread that runs models must call it once: the setting
// is per thread, and a thread without it uses all cores.
void InitTorchThread(int intra_op_threads);

// Bounds the number of threads that models start with torch.jit.fork, which would otherwise be the number of the
// machine's cores. Call it once, before any model runs.
void LimitTorchThreads(int cores);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_THREADS_H_
