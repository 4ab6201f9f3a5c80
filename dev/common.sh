# Shared by the scripts in dev/: messages, logged steps, locations. Sourced, not run. Needs bash 3.2 or newer.
# shellcheck shell=bash
# shellcheck disable=SC2034  # the scripts that source this use what it sets

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=$root/.deps
cache=${WANSPEC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wanspec}
logs=$deps/logs

note() { printf '%s\n' "$*"; }

# die MESSAGE [HINT]: one line that says what is wrong and what to do.
die() {
  printf 'error: %s%s\n' "$1" "${2:+ ($2)}" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

sha256_of() {
  if have sha256sum; then sha256sum "$1" | cut -d' ' -f1; else shasum -a 256 "$1" | cut -d' ' -f1; fi
}

sha256_of_text() {
  if have sha256sum; then sha256sum | cut -d' ' -f1; else shasum -a 256 | cut -d' ' -f1; fi
}

cpu_count() { getconf _NPROCESSORS_ONLN 2>/dev/null || sysctl -n hw.ncpu; }

# The process that a step is running, ended with the script.
step_pid=
stop_step() {
  if [ -n "$step_pid" ]; then
    kill -TERM "-$step_pid" 2>/dev/null || kill -TERM "$step_pid" 2>/dev/null || true
    wait "$step_pid" 2>/dev/null || true
    step_pid=
  fi
}

# step NAME LOGFILE HINT COMMAND...: runs a command with its output in a log, shows the log's last line while
# it runs (once a second on a terminal, every 15 s elsewhere), and the log's tail when it fails.
step() {
  local name=$1 log=$2 hint=$3 start=$SECONDS shown=$SECONDS line status=0
  shift 3
  mkdir -p "$(dirname "$log")"
  note "  $name..."
  set -m # its own process group, so that Ctrl-C and errors end the whole of it
  "$@" >"$log" 2>&1 </dev/null &
  step_pid=$!
  set +m
  while kill -0 "$step_pid" 2>/dev/null; do
    sleep 0.25
    line=$(tail -c 400 "$log" 2>/dev/null | tr '\r' '\n' | tr -cd '\n\40-\176' | tail -n 1 | cut -c 1-80)
    if [ -t 1 ]; then
      printf '\r\033[K    %d s  %s' $((SECONDS - start)) "$line"
    elif [ $((SECONDS - shown)) -ge 15 ]; then
      shown=$SECONDS
      printf '    %d s  %s\n' $((SECONDS - start)) "$line"
    fi
  done
  wait "$step_pid" || status=$?
  step_pid=
  if [ -t 1 ]; then printf '\r\033[K'; fi
  if [ "$status" != 0 ]; then
    printf -- '--- the end of %s\n' "$log" >&2
    tail -n 25 "$log" >&2
    printf -- '---\n' >&2
    die "$name failed (exit code $status)" "$hint"
  fi
}

# One writer at a time: several clones share the cache. Waits for a living owner, takes over from a dead one.
lock_dir=
take_lock() {
  local waited=0 owner
  mkdir -p "$(dirname "$1")"
  until mkdir "$1" 2>/dev/null; do
    owner=$(cat "$1/pid" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      rm -rf "$1"
      continue
    fi
    # An owner killed between the two steps of taking the lock leaves no pid; a living one writes it at once.
    if [ -z "$owner" ] && [ "$waited" -ge 5 ]; then
      rm -rf "$1"
      continue
    fi
    if [ "$waited" = 0 ]; then note "  waiting for another set-up (process ${owner:-unknown}) to finish..."; fi
    waited=$((waited + 1))
    sleep 1
  done
  echo $$ >"$1/pid"
  lock_dir=$1
}
drop_lock() {
  if [ -n "$lock_dir" ]; then rm -rf "$lock_dir"; fi
  lock_dir=
}

# Ends what is running and leaves everything so that the next run continues.
clean_up_on_exit() {
  trap 'stop_step; drop_lock' EXIT
  trap 'printf "\ninterrupted; run it again to continue\n" >&2; exit 130' INT
  trap 'exit 143' TERM HUP
}
