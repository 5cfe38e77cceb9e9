#include "server/serving/model_manager.h"

#include <sys/stat.h>

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/async/background_thread.h"
#include "server/async/work_status.h"
#include "server/model/failure_reason.h"
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
// How soon a model that could not be woken is tried again.
constexpr std::chrono::seconds kWakePause(5);

uint64_t DeviceOf(const fs::path& path) {
  struct stat found = {};
  return stat(path.c_str(), &found) == 0 ? found.st_dev : 0;
}

// Stands for a folder that is not there.
constexpr uint64_t kNone = 0;

absl::Status NeedsCommands(absl::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat(what, " needs --model-control explicit: here the folders of the repository say what is served"));
}

absl::Status CheckTraffic(const std::optional<TrafficSplit>& split, const ServedModel& model) {
  if (!split.has_value()) return absl::OkStatus();
  if (model.config().generator.has_value() && (!split->shadow.empty() || split->rollback.has_value())) {
    return absl::FailedPreconditionError(
        absl::StrCat("model '", model.name(), "' generates text: it has neither a shadow nor a rule of rollback"));
  }
  absl::Status status;
  split->ForEachVersion([&](const std::string& version) {
    if (model.FindReady(version) != nullptr) return;
    status.Update(absl::FailedPreconditionError(absl::StrCat("model '", model.name(), "' has no version or label '",
                                                             version.substr(0, 64), "' that is ready")));
  });
  if (!status.ok() || !split->rollback.has_value()) return status;
  if (!split->HasShare(split->rollback->stable, model.labels())) {
    return absl::FailedPreconditionError("the version that is stable has no share of the traffic");
  }
  return status;
}

// How the loading of a model has ended; nullopt while it goes on.
std::optional<absl::Status> LoadOutcome(const CatalogSnapshot& models, const std::string& name) {
  const auto found = models.models().find(name);
  if (found == models.models().end()) return absl::AbortedError(absl::StrCat("model '", name, "' has been removed"));
  const ServedModel& model = *found->second;
  if (model.loading()) return std::nullopt;
  if (!model.loaded()) return absl::AbortedError(absl::StrCat("model '", name, "' has been unloaded"));
  if (!model.status().ok() && !model.ready()) {
    return absl::FailedPreconditionError(absl::StrCat("model '", name, "' has no valid configuration any more"));
  }
  for (const int64_t number : model.spec().wanted) {
    // The first one is what the folder asks for, whatever serves until then.
    const auto first = std::find_if(model.versions().begin(), model.versions().end(),
                                    [number](const auto& version) { return version->number() == number; });
    if (first == model.versions().end() || (*first)->state() != VersionState::kFailed) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("version ", number, " of model '", name, "' could not be loaded: ", (*first)->reason()));
  }
  return absl::OkStatus();
}

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
            if (loaded.ok() && options_.control == ModelControl::kRepository && !IsCurrent(version)) {
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
  thread_ = std::thread(&ModelManager::Run, this);
  catalog_.commands().SetWake([this] { watch_.Wake(); });
  // For those that came before.
  watch_.Wake();
}

ModelManager::~ModelManager() {
  catalog_.commands().SetWake(nullptr);
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
      for (const auto& command : catalog_.commands().Take()) Execute(command);
      if (options_.control == ModelControl::kRepository) next = std::min(next, Look(steady_clock::now()));
      SettleAll();
      EndCommands();
      next = std::min(next, JudgeTraffic(steady_clock::now()));
      next = std::min(next, UnloadIdle(steady_clock::now()));
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

void ModelManager::Execute(const std::shared_ptr<PendingCommand>& pending) {
  const ModelCommand& command = pending->command();
  absl::Status status;
  std::optional<TrafficSplit> previous;
  bool loads = false;
  try {
    switch (command.kind) {
      case ModelCommand::Kind::kLoad:
      case ModelCommand::Kind::kReload:
        status = Load(command);
        loads = status.ok();
        break;
      case ModelCommand::Kind::kWake:
        loads = Wake(command.model);
        break;
      case ModelCommand::Kind::kUnload:
        status = Unload(command);
        break;
      case ModelCommand::Kind::kSetTraffic:
        status = SetTraffic(command, previous);
        break;
    }
    if (loads) {
      const MutexLock lock(mutex_);
      loading_.push_back(pending);
    }
  } catch (const std::exception&) {
    status = StatusOfException();
    loads = false;
  }
  if (!loads) catalog_.commands().End(*pending, std::move(status), std::move(previous));
}

absl::Status ModelManager::Load(const ModelCommand& command) {
  const absl::StatusOr<std::shared_ptr<const ServedModel>> last = catalog_.snapshot()->Find(command.model);
  const bool anew = command.kind == ModelCommand::Kind::kReload;
  if (anew && !last.ok()) return last.status();
  if (anew && !(*last)->loaded()) {
    return absl::FailedPreconditionError(absl::StrCat("model '", command.model, "' is not loaded"));
  }
  if (!anew && options_.control != ModelControl::kCommands) return NeedsCommands("LoadModel");
  // What is no name of a folder in the repository is no model.
  const absl::StatusOr<std::vector<std::string>> names = ListModels(options_.repository);
  if (!names.ok()) {
    return absl::UnavailableError("the model repository cannot be read: the server's log has the cause");
  }
  if (std::find(names->begin(), names->end(), command.model) == names->end()) {
    return last.ok() ? absl::NotFoundError(absl::StrCat("model '", command.model, "' has no folder in the repository"))
                     : last.status();
  }
  const ModelEntry entry = ReadModelFolder(options_.repository / command.model, options_.backends);
  Update(entry, anew);
  folders_[command.model] = {.read = entry.stamp, .seen = entry.stamp, .again = false, .since = steady_clock::now()};
  if (entry.status.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("model '", command.model, "' has no valid configuration: ", FailureReason(entry.status.message())));
}

bool ModelManager::Wake(const std::string& name) {
  {
    const MutexLock lock(mutex_);
    const auto snapshot = catalog_.snapshot();
    const auto last = snapshot->models().find(name);
    // Somebody else has woken it, or it is gone: the catalog says what is.
    if (last == snapshot->models().end() || !last->second->asleep() || last->second->ready()) return false;
    if (last->second->loading()) return true;
    // What has just failed is not tried for each request.
    TimePoint& tried = last_woken_.try_emplace(name, TimePoint::min()).first->second;
    const TimePoint now = steady_clock::now();
    if (last->second->failed() && now < SaturatingAdd(tried, kWakePause)) return false;
    tried = now;
    const std::shared_ptr<const ServedModel> model = catalog_.MakeWaking(*last->second);
    LoadNew(*model, last->second.get());
    catalog_.Put(model);
    observer_.OnWaking(*model);
  }
  catalog_.Announce();
  return true;
}

absl::Status ModelManager::Unload(const ModelCommand& command) {
  if (options_.control != ModelControl::kCommands) return NeedsCommands("UnloadModel");
  {
    const MutexLock lock(mutex_);
    const absl::StatusOr<std::shared_ptr<const ServedModel>> last = catalog_.snapshot()->Find(command.model);
    if (!last.ok()) return last.status();
    PutUnloaded(**last, /*asleep=*/false);
  }
  catalog_.Announce();
  return absl::OkStatus();
}

void ModelManager::PutUnloaded(const ServedModel& model, bool asleep) {
  ServedModel::Spec spec = model.spec();
  spec.loaded = asleep;
  spec.asleep = asleep;
  if (!asleep) spec.wanted.clear();
  std::vector<std::shared_ptr<ServedVersion>> retired;
  std::set<int64_t> shown;
  std::vector<std::shared_ptr<ServedVersion>> versions;
  for (std::shared_ptr<ServedVersion>& version : spec.versions) {
    const VersionState state = version->state();
    if (state == VersionState::kReady) {
      retired.push_back(version);
      version = version->Retire();
    } else if (asleep) {
      // It wakes with what has served it.
      continue;
    } else if (state != VersionState::kDraining) {
      // Whoever loads it finds that nobody wants it any more.
      version = version->Unloaded();
    }
    if (shown.insert(version->number()).second) versions.push_back(std::move(version));
  }
  spec.versions = std::move(versions);
  const auto unloaded = std::make_shared<const ServedModel>(std::move(spec));
  catalog_.Put(unloaded);
  // Health comes first.
  observer_.OnUnloaded(*unloaded);
  for (const auto& version : retired) observer_.OnRetired(*version);
}

TimePoint ModelManager::UnloadIdle(TimePoint now) {
  TimePoint next = kNever;
  bool changed = false;
  {
    const MutexLock lock(mutex_);
    const auto snapshot = catalog_.snapshot();
    const auto is_gone = [&](const auto& entry) { return !snapshot->models().contains(entry.first); };
    std::erase_if(last_used_, is_gone);
    std::erase_if(last_woken_, is_gone);
    for (const auto& [name, model] : snapshot->models()) {
      const auto& versions = model->versions();
      if (versions.empty() || !model->ready() || model->loading()) continue;
      const std::optional<absl::Duration> configured = model->config().idle_unload;
      const Duration idle =
          configured.has_value() ? Duration(absl::ToChronoNanoseconds(*configured)) : options_.idle_unload;
      if (idle == Duration::zero()) continue;
      TimePoint& last = last_used_.try_emplace(name, now).first->second;
      for (const auto& version : versions) {
        // A call may have it for long.
        if (version->TakeUse() || version.use_count() > 1) last = now;
      }
      const TimePoint until = SaturatingAdd(last, idle);
      if (now < until) {
        next = std::min(next, until);
        continue;
      }
      last_used_.erase(name);
      PutUnloaded(*model, /*asleep=*/true);
      changed = true;
    }
  }
  if (changed) catalog_.Announce();
  return next;
}

absl::Status ModelManager::SetTraffic(const ModelCommand& command, std::optional<TrafficSplit>& previous) {
  {
    const MutexLock lock(mutex_);
    const absl::StatusOr<std::shared_ptr<const ServedModel>> found = catalog_.snapshot()->Find(command.model);
    if (!found.ok()) return found.status();
    const ServedModel& model = **found;
    if (absl::Status status = CheckTraffic(command.traffic, model); !status.ok()) return status;
    if (model.traffic() != nullptr) previous = model.traffic()->split();
    const bool configured = !command.traffic.has_value();
    const std::optional<TrafficSplit>& split = configured ? model.config().traffic : command.traffic;
    PutTraffic(model, split.has_value() ? std::make_shared<const TrafficRouter>(*split, configured) : nullptr, "");
  }
  catalog_.Announce();
  return absl::OkStatus();
}

void ModelManager::PutTraffic(const ServedModel& model, std::shared_ptr<const TrafficRouter> traffic,
                              const std::string& why) {
  ServedModel::Spec spec = model.spec();
  spec.traffic = std::move(traffic);
  const auto changed = std::make_shared<const ServedModel>(std::move(spec));
  catalog_.Put(changed);
  observer_.OnTraffic(*changed, why);
  Settle(*changed);
}

void ModelManager::EndCommands() {
  std::vector<std::pair<std::shared_ptr<PendingCommand>, absl::Status>> ended;
  {
    const MutexLock lock(mutex_);
    const auto snapshot = catalog_.snapshot();
    for (const auto& command : loading_) {
      std::optional<absl::Status> outcome = LoadOutcome(*snapshot, command->command().model);
      if (outcome.has_value()) ended.emplace_back(command, *std::move(outcome));
    }
    // Nothing is changed before all memory has been had.
    for (const auto& [command, outcome] : ended) std::erase(loading_, command);
  }
  for (auto& [command, outcome] : ended) catalog_.commands().End(*command, std::move(outcome));
}

TimePoint ModelManager::JudgeTraffic(TimePoint now) {
  bool changed = false;
  {
    const MutexLock lock(mutex_);
    const auto snapshot = catalog_.snapshot();
    for (const TrafficJudge::Verdict& verdict : judge_.Judge(*snapshot)) {
      const ServedModel& model = *verdict.model;
      TrafficSplit split = {.shares = {{.version = model.traffic()->split().rollback->stable, .weight = 1}},
                            .shadow = "",
                            .shadow_fraction = 0,
                            .rollback = std::nullopt};
      PutTraffic(model, std::make_shared<const TrafficRouter>(std::move(split), /*configured=*/false), verdict.why);
      changed = true;
    }
  }
  if (changed) catalog_.Announce();
  return judge_.busy() ? SaturatingAdd(now, std::chrono::seconds(1)) : kNever;
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
  return next;
}

void ModelManager::SettleAll() {
  size_t draining = 0;
  bool changed = false;
  {
    const MutexLock lock(mutex_);
    const auto before = catalog_.snapshot();
    for (const auto& [name, model] : before->models()) Settle(*model);
    const auto after = catalog_.snapshot();
    for (const auto& [name, model] : after->models()) {
      for (const auto& version : model->versions()) draining += version->state() == VersionState::kDraining ? 1 : 0;
    }
    // Versions that have been unloaded say so by themselves.
    changed = before != after || std::exchange(draining_, draining) != draining;
  }
  if (changed) catalog_.Announce();
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

void ModelManager::Update(const ModelEntry& entry, bool anew) {
  {
    const MutexLock lock(mutex_);
    const auto snapshot = catalog_.snapshot();
    const auto found = snapshot->models().find(entry.name);
    const std::shared_ptr<const ServedModel> last = found == snapshot->models().end() ? nullptr : found->second;
    std::shared_ptr<const ServedModel> model;
    if (!entry.status.ok() && last != nullptr && (last->ready() || last->loading() || last->asleep())) {
      ServedModel::Spec spec = last->spec();
      spec.status = entry.status;
      model = std::make_shared<const ServedModel>(std::move(spec));
    } else {
      model = catalog_.MakeModel(entry, last.get(), anew);
    }
    // Should there be no memory for one of these, nothing has happened, and the next look tries again.
    LoadNew(*model, last.get());
    catalog_.Put(model);
    observer_.OnChanged(*model);
    Settle(*model);
  }
  catalog_.Announce();
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
  {
    const MutexLock lock(mutex_);
    catalog_.Remove(model);
    observer_.OnRemoved(model);
  }
  catalog_.Announce();
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
  {
    const MutexLock lock(mutex_);
    // Another one has taken its place in the meantime.
    if (!IsServed(version)) return;
    observer_.OnLoaded(version, status, findings);
    Settle(*catalog_.snapshot()->models().at(version.model()));
  }
  catalog_.Announce();
  EndCommands();
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
    if (!replaced && (state != VersionState::kUnloaded || !spec.loaded || spec.asleep)) versions.push_back(version);
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
  std::set<int64_t> named;
  for (const auto& [label, number] : labels) named.insert(number);
  if (spec.traffic != nullptr) {
    spec.traffic->split().ForEachVersion([&](const std::string& name) {
      if (const std::optional<int64_t> number = VersionNamed(name, labels)) named.insert(*number);
    });
  }
  if (all_ready && !spec.wanted.empty()) {
    for (std::shared_ptr<ServedVersion>& version : versions) {
      const int64_t number = version->number();
      if (version->state() != VersionState::kReady || wanted(number) || named.contains(number)) continue;
      retired.push_back(version);
      version = version->Retire();
    }
  }
  // It is awake once any version is ready.
  const bool asleep = spec.asleep && !model.ready();
  if (versions == spec.versions && labels == spec.labels && asleep == spec.asleep) return;
  spec.asleep = asleep;
  spec.versions = std::move(versions);
  spec.labels = std::move(labels);
  catalog_.Put(std::make_shared<const ServedModel>(std::move(spec)));
  for (const auto& version : retired) observer_.OnRetired(*version);
}

}  // namespace predictd
