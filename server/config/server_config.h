#ifndef PREDICTD_SERVER_CONFIG_SERVER_CONFIG_H_
#define PREDICTD_SERVER_CONFIG_SERVER_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace predictd {

// Everything an operator can set, with defaults. One name for each: `--model-repository` is the flag,
// `PREDICTD_MODEL_REPOSITORY` the environment variable and `model-repository` the key in the TOML file. A flag beats
// the environment, which beats the file. `predictd --help` describes each.
struct ServerConfig {
  std::string model_repository;

  std::string listen = "127.0.0.1:8500";
  std::string port_file;
  std::string metrics_listen = "127.0.0.1:8501";
  std::string metrics_port_file;
  // Connections at a time. 0: as many as the limit of open files allows, two for each.
  int max_connections = 0;
  // Of these from one address. 0: no limit.
  int max_connections_per_peer = 0;
  // How long a connection may be without calls. Zero: for ever.
  absl::Duration connection_idle_timeout = absl::ZeroDuration();

  // Event loops, each a completion queue with its thread. 0: half the cores.
  int loops = 0;
  // Threads that run models. 0: cores / intra_op_threads.
  int workers = 0;
  int intra_op_threads = 1;

  // For calls that bring no deadline. Zero: none.
  absl::Duration default_deadline = absl::ZeroDuration();
  // No call gets more. Zero: no limit.
  absl::Duration max_deadline = absl::ZeroDuration();
  int64_t max_message_bytes = int64_t{64} << 20;
  int max_concurrent_streams = 1000;
  // Bytes of calls, requests and answers that all callers together may make the server hold. 0: a sixteenth of the
  // memory that there is.
  int64_t request_memory = 0;
  // Health watches and reflection streams at a time.
  int64_t max_endless_calls = 4096;
  // Chunks of one stream that are queued, running or computed but not sent.
  int stream_window = 32;
  // How long a request may take to arrive after its headers. Zero: for ever.
  absl::Duration receive_timeout = absl::Seconds(30);
  // How long an answer or a part of it may wait for its reader. Zero: for ever.
  absl::Duration stream_stall_timeout = absl::Seconds(30);
  // Bytes a second that a reader must take over so long a time of waiting. 0: any.
  int64_t min_reader_rate = 1024;

  // After SIGTERM: how long health says NOT_SERVING before calls are refused, and then how long running calls may take.
  absl::Duration drain_delay = absl::ZeroDuration();
  absl::Duration drain_grace = absl::Seconds(20);

  std::string log_level = "info";
  std::string log_format = "text";
  std::string log_requests = "errors";

  std::string trace_exporter = "none";
  std::string trace_endpoint = "http://localhost:4317";
  std::string trace_file;
  // A full file becomes FILE.1 and so on, of which so many are kept.
  int64_t trace_file_max_bytes = int64_t{64} << 20;
  int trace_file_keep = 3;
  double trace_sample_ratio = 0.01;
  // Calls a second that are traced because their traceparent says so.
  int trace_max_forced_per_second = 100;
};

// Reads flags, environment and file. Nothing to run (help or version was asked for, or something is wrong): prints what
// there is to say and returns nullopt with the process's exit code, 0 or 2, in `exit_code`.
std::optional<ServerConfig> ParseServerConfig(int argc, const char* const* argv, int& exit_code);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_SERVER_CONFIG_H_
