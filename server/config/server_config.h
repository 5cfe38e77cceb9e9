#ifndef PREDICTD_SERVER_CONFIG_SERVER_CONFIG_H_
#define PREDICTD_SERVER_CONFIG_SERVER_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace predictd {

// Everything that an operator can set, with defaults. Each setting has one name: `--model-repository` is the flag,
// `PREDICTD_MODEL_REPOSITORY` the environment variable and `model-repository` the key in the TOML file. A flag takes
// precedence over the environment, and the environment over the file; where none of them says anything, OpenTelemetry's
// own variables do. `predictd --help` describes each setting.
struct ServerConfig {
  std::string model_repository;
  // If one of these is set, nothing is served: the model in this folder is loaded and checked, or only its files are.
  std::string check_model;
  std::string check_model_files;
  // Shared libraries with operators that models use; they are loaded before any model.
  std::vector<std::string> operator_libraries;
  // The folder in which packages are unpacked while they are loaded; if it is empty, the folder of temporary files.
  std::string unpack_dir;
  // Which models must be ready for the server to be healthy: any, all, or names separated by commas.
  std::string ready = "any";
  // "poll": models that are added, changed or removed in the repository are served as they are there from then on.
  // "none": what was there at the start is served. "explicit": what calls load is served.
  std::string model_control = "poll";
  // With "explicit": the models to load at the start, NAME,NAME,... or *.
  std::string load_model;
  // How often the repository is looked at, beside what the system tells of changes, and how long a folder must have
  // been still to be read.
  absl::Duration repository_poll_interval = absl::Seconds(5);
  absl::Duration repository_settle_time = absl::Seconds(2);
  // After how long without requests a model is unloaded until the next one. Zero means never.
  absl::Duration idle_unload = absl::ZeroDuration();

  std::string listen = "127.0.0.1:8500";
  std::string port_file;
  // Where the calls are let in that change what is served. Empty: nowhere, or with "explicit" the same as `listen`.
  std::string control_listen;
  std::string control_port_file;
  std::string metrics_listen = "127.0.0.1:8501";
  std::string metrics_port_file;
  // The most connections at a time. 0 means as many as the limit of open files allows, with two files for each.
  int max_connections = 0;
  // The most connections from one address. 0 means no limit.
  int max_connections_per_peer = 0;
  // How long a connection may be without calls. Zero means for ever.
  absl::Duration connection_idle_timeout = absl::ZeroDuration();
  // After about how long a client is told to leave its connection, and how long the connection's calls may go on then.
  // Zero means for ever.
  absl::Duration max_connection_age = absl::ZeroDuration();
  absl::Duration max_connection_age_grace = absl::ZeroDuration();

  // The number of event loops, each of which is a completion queue with its thread. 0 means half the cores.
  int loops = 0;
  // The number of threads that run models. 0 means cores / intra_op_threads.
  int workers = 0;
  int intra_op_threads = 1;

  // The deadline of calls that have none of their own. Zero means none.
  absl::Duration default_deadline = absl::ZeroDuration();
  // No call gets more time than this. Zero means no limit.
  absl::Duration max_deadline = absl::ZeroDuration();
  int64_t max_message_bytes = int64_t{64} << 20;
  int max_concurrent_streams = 1000;
  // "system": callers on this machine may register POSIX shared memory, and have tensors read and written there.
  std::string shared_memory = "none";
  // How many bytes of calls, requests and answers all callers together may make the server hold. 0 means a sixteenth of
  // the available memory.
  int64_t request_memory = 0;
  // The most watches and reflection streams at a time.
  int64_t max_endless_calls = 4096;
  int64_t max_request_streams = 4096;
  // The most chunks of one stream that are queued, running, or computed but not sent.
  int stream_window = 32;
  // How long a request may take to arrive after its headers. Zero means for ever.
  absl::Duration receive_timeout = absl::Seconds(30);
  // How long an answer or a part of it may wait for its reader. Zero means for ever.
  absl::Duration stream_stall_timeout = absl::Seconds(30);
  // How many bytes a second a reader must take over that much time of waiting. 0 means any rate.
  int64_t min_reader_rate = 1024;

  // After SIGTERM: how long health says NOT_SERVING before calls are refused, and then how long running calls may take.
  absl::Duration drain_delay = absl::ZeroDuration();
  absl::Duration drain_grace = absl::Seconds(20);

  std::string log_level = "info";
  std::string log_format = "text";
  std::string log_requests = "errors";
  std::string server_timing = "all";

  std::string trace_exporter = "none";
  std::string trace_endpoint = "http://localhost:4317";
  std::string trace_file;
  // A full file is renamed to FILE.1 and so on; this many of those are kept.
  int64_t trace_file_max_bytes = int64_t{64} << 20;
  int trace_file_keep = 3;
  double trace_sample_ratio = 0.01;
  // How many calls a second are traced because their traceparent says so.
  int trace_max_forced_per_second = 100;
  // How long the OTLP receiver may take for a batch.
  absl::Duration trace_timeout = absl::Seconds(2);

  // What is odd about the settings, to be logged.
  std::vector<std::string> warnings;
};

// Reads flags, environment and file. If there is nothing to run, because help or version was asked for or something is
// wrong, it prints what there is to say and returns nullopt, with the process's exit code, 0 or 2, in `exit_code`.
std::optional<ServerConfig> ParseServerConfig(int argc, const char* const* argv, int& exit_code);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_SERVER_CONFIG_H_
