#!/bin/bash
# Stops the Slurm that start-slurm.sh started, and its jobs; --wipe removes what it kept. Needs the same variables.
set -uo pipefail
dir=${EE_SLURM_DIR:-${TMPDIR:-/tmp}/ee-clusters/slurm}
prefix=${EE_SLURM_PREFIX:-ee}
export SLURM_CONF=$dir/slurm.conf
running() { [ -e "/proc/$1" ] && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }
stop() { # FILE WITH THE PID, NAME OF THE PROGRAM
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]; then
    kill -TERM "$pid"
    for _ in $(seq 100); do running "$pid" || break; sleep 0.05; done
    ! running "$pid" || kill -KILL "$pid"
  fi
  rm -f "$1"
}
# Jobs outlive slurmd, so that it can be restarted: they are ended first.
ctld=$(cat "$dir/run/slurmctld.pid" 2>/dev/null || true)
if [ -n "$ctld" ] && running "$ctld"; then
  timeout 10 scancel --me >/dev/null 2>&1
  for _ in $(seq 100); do [ -n "$(timeout 10 squeue -h 2>/dev/null)" ] || break; sleep 0.1; done
fi
stop "$dir/run/slurmrestd.pid" slurmrestd
for file in "$dir"/run/slurmd.*.pid; do stop "$file" slurmd; done
stop "$dir/run/slurmctld.pid" slurmctld
stop "$dir/run/munged.pid" munged
# What a controller that crashed could not cancel.
find "/sys/fs/cgroup/freezer/slurm_$prefix"[12] -name cgroup.procs -exec cat {} + 2>/dev/null | xargs -r kill -KILL 2>/dev/null
for group in /sys/fs/cgroup/*/"slurm_$prefix"[12]; do
  [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
done
[ "${1:-}" != --wipe ] || rm -rf "$dir"
exit 0
