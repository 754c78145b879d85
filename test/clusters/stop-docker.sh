#!/bin/bash
# Stops the Docker engine that start-docker.sh started, and its containers; --wipe removes what it kept.
set -uo pipefail
dir=${EE_DOCKER_DIR:-${TMPDIR:-/tmp}/ee-clusters/docker}
pid=$(cat "$dir/pid" 2>/dev/null || true)
running() { [ -e "/proc/$1" ] && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }
if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
  kill "$pid"
  for _ in $(seq 400); do running "$pid" || break; sleep 0.05; done
  ! running "$pid" || kill -KILL "$pid"
fi
rm -f "$dir/pid"
if [ "${1:-}" = --wipe ]; then
  awk -v dir="$dir/" 'index($2, dir) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount --lazy
  rm -rf "$dir"
fi
