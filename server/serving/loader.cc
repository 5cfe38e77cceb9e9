#include "server/serving/loader.h"

#include <chrono>
#include <new>
#include <utility>

#include "server/async/background_thread.h"
#include "server/async/work_status.h"
#include "server/model/failure_reason.h"

namespace predictd {

Loader::Loader(LoadFunction load, Observer observer, Reaper& reaper)
    : load_(std::move(load)), observer_(std::move(observer)), reaper_(reaper), thread_(&Loader::Run, this) {}

Loader::~Loader() {
  RequestStop();
  thread_.join();
}

void Loader::Load(std::shared_ptr<ServedVersion> version) {
  const MutexLock lock(mutex_);
  queue_.push_back(std::move(version));
  changed_.NotifyAll();
}

void Loader::RequestStop() {
  const MutexLock lock(mutex_);
  stopping_ = true;
  changed_.NotifyAll();
}

bool Loader::StopBy(TimePoint when) {
  RequestStop();
  MutexLock lock(mutex_);
  while (!ended_) {
    if (std::chrono::steady_clock::now() >= when) return false;
    changed_.WaitUntil(mutex_, when);
  }
  return true;
}

void Loader::Run() {
  MakeBackgroundThread();
  while (const std::shared_ptr<ServedVersion> version = Next()) LoadOne(*version);
  const MutexLock lock(mutex_);
  ended_ = true;
  changed_.NotifyAll();
}

std::shared_ptr<ServedVersion> Loader::Next() {
  MutexLock lock(mutex_);
  while (queue_.empty() && !stopping_) changed_.Wait(mutex_);
  if (stopping_) return nullptr;
  std::shared_ptr<ServedVersion> next = std::move(queue_.front());
  queue_.pop_front();
  return next;
}

void Loader::LoadOne(ServedVersion& version) {
  LoadFindings findings;
  absl::Status status;
  // What has been dropped gives back its memory first.
  reaper_.Finish();
  try {
    absl::StatusOr<Servable> loaded = load_(version, stopping_, findings);
    if (loaded.ok()) {
      version.SetReady(*std::move(loaded));
    } else {
      status = loaded.status();
    }
  } catch (...) {
    // A model that does not fit into memory must not keep the others from loading.
    status = StatusOfException();
  }
  if (stopping_ && absl::IsCancelled(status)) return;
  try {
    if (!status.ok()) version.SetFailed(FailureReason(status.message(), version.entry().file));
    observer_(version, status, findings);
  } catch (const std::bad_alloc&) {
    if (version.state() == VersionState::kLoading) version.SetFailed("");
  }
}

}  // namespace predictd
