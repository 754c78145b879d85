#!/bin/bash
# Stops the pool that start-condor.sh started in EE_CONDOR_DIR, with its jobs; with --wipe removes its folder, too.
set -uo pipefail
base=${TMPDIR:-/tmp}/ee-clusters
dir=${EE_CONDOR_DIR:-$base/condor} root=${EE_CONDOR_ROOT:-$base/condor-root}

alive() { [ -e "/proc/$1" ] && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }
pid=$(cat "$dir/run/master.pid" 2>/dev/null)
if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = condor_master ]; then
  kill -QUIT "$pid" # a fast shutdown: jobs are killed
  for _ in $(seq 200); do
    alive "$pid" || break
    sleep 0.05
  done
  ! alive "$pid" || kill -KILL "$pid"
fi
rm -f "$dir/run/master.pid"
for process in /proc/[0-9]*; do
  case $(readlink "$process/exe" 2>/dev/null) in "$root"/*) ;; *) continue ;; esac
  ! tr '\0' '\n' <"$process/environ" 2>/dev/null | grep -qx "CONDOR_CONFIG=$dir/condor_config" || kill -KILL "${process#/proc/}"
done
base_cgroup=$(sed -n 's/^BASE_CGROUP = //p' "$dir/condor_config" 2>/dev/null)
for group in /sys/fs/cgroup/*/"${base_cgroup:-none}"; do
  [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
done
[ "${1:-}" != --wipe ] || rm -rf "$dir"
exit 0
