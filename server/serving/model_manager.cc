#include "server/serving/model_manager.h"

#include <sys/stat.h>

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include "server/async/background_thread.h"
#include "server/model/folder_stamp.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How soon after a look there is another one at the earliest, however often something changes.
constexpr milliseconds kPause(100);
// More than that are left to the regular look.
constexpr size_t kMostWatched = 1000;

uint64_t DeviceOf(const fs::path& path) {
  struct stat found = {};
  return stat(path.c_str(), &found) == 0 ? found.st_dev : 0;
}

// Stands for a folder that is not there.
constexpr uint64_t kNone = 0;

}  // namespace

ModelManager::ModelManager(Options options, const std::vector<ModelEntry>& models, Catalog& catalog,
                           Loader::LoadFunction load, ModelObserver& observer, Reaper& reaper)
    : options_(std::move(options)),
      catalog_(catalog),
      observer_(observer),
      device_(DeviceOf(options_.repository)),
      loader_(
          [this, load = std::move(load)](ServedVersion& version, const std::atomic<bool>& stopping,
                                         LoadFindings& findings) -> absl::StatusOr<Servable> {
            {
              // Whoever has queued it publishes it, too, before it lets go of the mutex.
              const MutexLock lock(mutex_);
              if (!IsServed(version)) return absl::CancelledError("the version has changed meanwhile");
            }
            absl::StatusOr<Servable> loaded = load(version, stopping, findings);
            if (loaded.ok() && options_.watch && !IsCurrent(version)) {
              return absl::AbortedError("the files have changed while they were read");
            }
            return loaded;
          },
          [this](const ServedVersion& version, const absl::Status& status, const LoadFindings& findings) {
            OnLoaded(version, status, findings);
          },
          reaper) {
  for (const ModelEntry& model : models)
    folders_[model.name] = {.read = model.stamp, .seen = model.stamp, .again = false, .since = {}};
  const auto snapshot = catalog_.snapshot();
  for (const auto& [name, model] : snapshot->models()) LoadNew(*model, nullptr);
  if (options_.watch) thread_ = std::thread(&ModelManager::Run, this);
}

ModelManager::~ModelManager() {
  stopping_ = true;
  watch_.Wake();
  if (thread_.joinable()) thread_.join();
}

bool ModelManager::StopBy(TimePoint when) {
  stopping_ = true;
  watch_.Wake();
  if (!loader_.StopBy(when)) return false;
  MutexLock lock(mutex_);
  while (thread_.joinable() && !ended_) {
    if (steady_clock::now() >= when) return false;
    changed_.WaitUntil(mutex_, when);
  }
  return true;
}

void ModelManager::Reload() {
  reload_ = true;
  watch_.Wake();
}

void ModelManager::Run() {
  MakeBackgroundThread();
  while (!stopping_) {
    TimePoint next = SaturatingAdd(steady_clock::now(), options_.interval);
    try {
      next = std::min(next, Look(steady_clock::now()));
    } catch (const std::exception&) {
      // There was too little memory. The next look may have more.
    }
    std::this_thread::sleep_for(kPause);
    const auto left = std::chrono::ceil<milliseconds>(next - steady_clock::now());
    if (!stopping_) watch_.Wait(std::max(left, milliseconds(0)));
  }
  const MutexLock lock(mutex_);
  ended_ = true;
  changed_.NotifyAll();
}

absl::StatusOr<std::map<std::string, uint64_t>> ModelManager::StampModels() const {
  const absl::StatusOr<std::vector<std::string>> names = ListModels(options_.repository);
  if (!names.ok()) return names.status();
  // A folder on which nothing is mounted any more is empty, but nobody has removed the models.
  if (names->empty() && DeviceOf(options_.repository) != device_) {
    return absl::UnavailableError("it is on another file system than before, and empty");
  }
  std::map<std::string, uint64_t> stamps;
  for (const std::string& name : *names) {
    if (IsUtf8(name)) stamps[name] = StampModel(options_.repository / name);
  }
  // A folder that lacks its model.toml for a moment, or on which nothing is mounted any more, is not gone.
  for (const auto& [name, folder] : folders_) {
    std::error_code ignored;
    const fs::path path = options_.repository / name;
    if (!stamps.contains(name) && fs::symlink_status(path, ignored).type() != fs::file_type::not_found) {
      stamps[name] = StampModel(path);
    }
  }
  return stamps;
}

TimePoint ModelManager::Look(TimePoint now) {
  // Watched before it is looked at, so that nothing that changes meanwhile is missed.
  std::set<fs::path> watched = {options_.repository};
  for (const auto& [name, folder] : folders_) {
    if (watched.size() >= kMostWatched) break;
    const fs::path path = options_.repository / name;
    watched.insert(path);
    std::error_code error;
    for (fs::directory_iterator child(path, error), end; !error && child != end; child.increment(error)) {
      std::error_code ignored;
      if (child->is_directory(ignored)) watched.insert(child->path());
    }
  }
  watch_.Watch(watched);

  const absl::StatusOr<std::map<std::string, uint64_t>> stamps = StampModels();
  if (stamps.status() != repository_) {
    repository_ = stamps.status();
    const MutexLock lock(mutex_);
    observer_.OnRepository(repository_);
  }
  if (!stamps.ok()) return kNever;
  const bool reload = reload_.exchange(false);
  TimePoint next = kNever;
  for (const auto& [name, stamp] : *stamps) {
    if (reload) folders_[name].again = true;
    next = std::min(next, LookAt(name, stamp, now));
  }
  for (const auto& [name, folder] : folders_) {
    if (!stamps->contains(name)) next = std::min(next, LookAt(name, kNone, now));
  }
  std::erase_if(folders_, [](const auto& entry) { return entry.second.read == kNone && entry.second.seen == kNone; });

  const MutexLock lock(mutex_);
  const auto snapshot = catalog_.snapshot();
  for (const auto& [name, model] : snapshot->models()) Settle(*model);
  return next;
}

TimePoint ModelManager::LookAt(const std::string& model, uint64_t stamp, TimePoint now) {
  Folder& folder = folders_[model];
  if (std::exchange(folder.seen, stamp) != stamp) folder.since = now;
  if ((stamp == folder.read && !folder.again) || stopping_) return kNever;
  if (now - folder.since < options_.settle) return folder.since + options_.settle;
  if (stamp == kNone) {
    Remove(model);
  } else {
    const ModelEntry entry = ReadModelFolder(options_.repository / model, options_.backends);
    // It has changed since the look.
    if (entry.stamp != stamp) return now + options_.settle;
    Update(entry);
  }
  folder.read = stamp;
  folder.again = false;
  return kNever;
}

void ModelManager::Update(const ModelEntry& entry) {
  const MutexLock lock(mutex_);
  const auto snapshot = catalog_.snapshot();
  const auto found = snapshot->models().find(entry.name);
  const std::shared_ptr<const ServedModel> last = found == snapshot->models().end() ? nullptr : found->second;
  std::shared_ptr<const ServedModel> model;
  if (!entry.status.ok() && last != nullptr && last->ready()) {
    ServedModel::Spec spec = last->spec();
    spec.status = entry.status;
    model = std::make_shared<const ServedModel>(std::move(spec));
  } else {
    model = catalog_.MakeModel(entry, last.get());
  }
  // Should there be no memory for one of these, nothing has happened, and the next look tries again.
  LoadNew(*model, last.get());
  catalog_.Put(model);
  observer_.OnChanged(*model);
  Settle(*model);
}

void ModelManager::LoadNew(const ServedModel& model, const ServedModel* last) {
  for (const auto& version : model.versions()) {
    if (version->state() != VersionState::kLoading) continue;
    const bool old = last != nullptr &&
                     std::find(last->versions().begin(), last->versions().end(), version) != last->versions().end();
    if (!old) loader_.Load(version);
  }
}

void ModelManager::Remove(const std::string& model) {
  const MutexLock lock(mutex_);
  catalog_.Remove(model);
  observer_.OnRemoved(model);
}

bool ModelManager::IsServed(const ServedVersion& version) const {
  const auto snapshot = catalog_.snapshot();
  const auto model = snapshot->models().find(version.model());
  return model != snapshot->models().end() &&
         std::any_of(model->second->versions().begin(), model->second->versions().end(),
                     [&version](const auto& served) { return served.get() == &version; });
}

bool ModelManager::IsCurrent(const ServedVersion& version) const {
  const ModelEntry entry = ReadModelFolder(options_.repository / version.model(), options_.backends);
  return std::any_of(entry.versions.begin(), entry.versions.end(), [&version](const VersionEntry& found) {
    return found.version == version.number() && found.stamp == version.entry().stamp;
  });
}

void ModelManager::OnLoaded(const ServedVersion& version, const absl::Status& status, const LoadFindings& findings) {
  const MutexLock lock(mutex_);
  // Another one has taken its place in the meantime.
  if (!IsServed(version)) return;
  observer_.OnLoaded(version, status, findings);
  Settle(*catalog_.snapshot()->models().at(version.model()));
}

void ModelManager::Settle(const ServedModel& model) {
  ServedModel::Spec spec = model.spec();
  std::vector<std::shared_ptr<ServedVersion>> versions;
  std::vector<std::shared_ptr<ServedVersion>> retired;
  std::set<int64_t> ready;
  for (const auto& version : spec.versions) {
    const VersionState state = version->state();
    // A successor comes before the version that it replaces.
    const bool replaced = state == VersionState::kReady && !ready.insert(version->number()).second;
    if (replaced) retired.push_back(version);
    if (!replaced && state != VersionState::kUnloaded) versions.push_back(version);
  }
  const auto wanted = [&spec](int64_t number) {
    return std::find(spec.wanted.begin(), spec.wanted.end(), number) != spec.wanted.end();
  };
  const bool all_ready = std::all_of(spec.wanted.begin(), spec.wanted.end(), [&](int64_t number) {
    // The first one is what the folder asks for; another one of its number serves until that is ready.
    const auto first = std::find_if(versions.begin(), versions.end(),
                                    [number](const auto& version) { return version->number() == number; });
    return first != versions.end() && (*first)->state() == VersionState::kReady;
  });
  // A label moves when the version that it moves to is ready.
  VersionLabels labels = LabelsInForce(spec.config->labels, spec.labels, versions);
  const auto has_label = [&labels](int64_t number) {
    return std::any_of(labels.begin(), labels.end(), [number](const auto& label) { return label.second == number; });
  };
  if (all_ready && !spec.wanted.empty()) {
    for (std::shared_ptr<ServedVersion>& version : versions) {
      const int64_t number = version->number();
      if (version->state() != VersionState::kReady || wanted(number) || has_label(number)) continue;
      retired.push_back(version);
      version = version->Retire();
    }
  }
  if (versions == spec.versions && labels == spec.labels) return;
  spec.versions = std::move(versions);
  spec.labels = std::move(labels);
  catalog_.Put(std::make_shared<const ServedModel>(std::move(spec)));
  for (const auto& version : retired) observer_.OnRetired(*version);
}

}  // namespace predictd
