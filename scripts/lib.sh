# shellcheck shell=bash
# What the scripts share: where things are, messages, and steps with progress and a log. To be sourced.

# shellcheck disable=SC2034  # Not all are used here.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
VENV=$ROOT/.venv
LOGS=$BUILD/logs
CORES=$(nproc)

STEP=0
STEPS=0
STEP_STATUS=0
TICKER=

# Ends the script with one clear line.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

note() {
  printf 'note: %s\n' "$*" >&2
}

# free_space FOLDER: the megabytes that are free where the folder is.
free_space() {
  df --output=avail -B 1000000 "$1" | tail -n 1 | tr -d ' '
}

# need_space FOLDER MEGABYTES WHAT: ends the script if there is less.
need_space() {
  local free
  free=$(free_space "$1")
  ((free >= $2)) || fail "$1 has $free MB free, and $3 takes $2 MB"
}

# out_of_space LOG: whether a command failed for want of space. Its log may be where there was no space for it.
out_of_space() {
  grep -q 'No space left on device' "$1" || (($(free_space "$ROOT") == 0))
}

# write_stamp FILE LINE...: says that something is complete. The file is there with all its lines, or is not.
write_stamp() {
  local file=$1
  shift
  printf '%s\n' "$@" >"$file.new"
  mv "$file.new" "$file"
}

# Says how many steps follow.
steps() {
  STEP=0
  STEPS=$1
  mkdir -p "$LOGS"
}

# step LOG TITLE COMMAND...: runs the command, or function, with its output in build/logs/LOG.log. If it fails, ends the
# script with the reason that the command gave by `fail`, or else with the last lines of its output.
step() {
  try_step "$@"
  if ((STEP_STATUS == 0)); then return; fi
  local log=$LOGS/$1.log reason
  reason=$(tail -n 1 "$log")
  if [[ $reason == 'error: '* ]]; then fail "${reason#error: }"; fi
  if out_of_space "$log"; then
    fail "$2 failed: no space left on device ($ROOT has $(free_space "$ROOT") MB free, ${TMPDIR:-/tmp} has" \
      "$(free_space "${TMPDIR:-/tmp}") MB free)"
  fi
  tail -n 30 "$log" >&2
  fail "$2 failed; all of its output is in ${log#"$ROOT"/}"
}

# The same, but leaves the command's status in STEP_STATUS and goes on. On a terminal the line counts the seconds.
try_step() {
  local log=$LOGS/$1.log title=$2 started=$SECONDS
  shift 2
  STEP=$((STEP + 1))
  local line="[$STEP/$STEPS] $title"
  : >"$log"
  printf '%s...' "$line"
  if [[ -t 1 ]]; then
    tick "$line" "$log" "$started" &
    TICKER=$!
    trap at_exit EXIT
  fi
  # Not `if (...)` nor `(...) || ...`: bash ignores `set -e` in everything below a tested command.
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null
  STEP_STATUS=$?
  set -e
  stop_ticker
  if [[ -t 1 ]]; then printf '\r\e[K%s...' "$line"; fi
  if ((STEP_STATUS == 0)); then
    printf ' %d s\n' $((SECONDS - started))
  else
    printf ' FAILED after %d s\n' $((SECONDS - started))
  fi
}

# Says that a step has nothing to do.
skip_step() {
  STEP=$((STEP + 1))
  printf '[%d/%d] %s: up to date\n' "$STEP" "$STEPS" "$1"
}

# Rewrites the current line once a second, with the progress that ninja reports in the log, as long as the script lives.
tick() {
  local line=$1 log=$2 started=$3 progress
  while sleep 1 && kill -0 $$ 2>/dev/null; do
    progress=$(tail -n 1 "$log" | grep -oE '^\[[0-9]+/[0-9]+\]' || true)
    printf '\r\e[K%s... %s%d s' "$line" "${progress:+$progress }" $((SECONDS - started))
  done
}

# What is left to do when the script ends; scripts may have more.
at_exit() {
  stop_ticker
}

stop_ticker() {
  [[ -n $TICKER ]] || return 0
  kill "$TICKER" 2>/dev/null || true
  wait "$TICKER" 2>/dev/null || true
  TICKER=
}
