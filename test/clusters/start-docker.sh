#!/bin/bash
# A Docker engine for the tests, on Debian or Ubuntu, as root, without systemd: installs it if missing, starts it, waits
# until it answers. There is no bridge and no iptables rule: containers get --network host or none. Base images are
# imported (base-image.py), none are fetched. A second run only checks.
# EE_DOCKER_DIR: folder for everything. Afterwards: . $EE_DOCKER_DIR/env.sh (sets DOCKER_HOST).
set -euo pipefail
dir=${EE_DOCKER_DIR:-${TMPDIR:-/tmp}/ee-clusters/docker}
export DEBIAN_FRONTEND=noninteractive
log() { echo "[docker] $*" >&2; }

[ "$(id -u)" = 0 ] || { log "must be root"; exit 1; }
mkdir -p "$dir"/{data,exec}

if ! command -v dockerd >/dev/null; then
  log "installing docker.io"
  # Its daemon is not to start by itself with settings of its own.
  added=
  [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; added=1; }
  install() { apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends docker.io; }
  { install || { apt-get -o DPkg::Lock::Timeout=300 update -qq && install; }; } >"$dir/apt.log" 2>&1 || { tail -n 20 "$dir/apt.log" >&2; exit 1; }
  [ -z "$added" ] || rm -f /usr/sbin/policy-rc.d
fi

# A process that ended may stay as a zombie: its state counts, not its number alone.
alive() {
  local pid
  pid=$(cat "$dir/pid" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] &&
    ! grep -q '^State:.*Z' "/proc/$pid/status"
}
if ! alive; then
  rm -f "$dir/pid" "$dir/docker.sock"
  setsid dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" --host "unix://$dir/docker.sock" \
    --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --storage-driver=overlay2 \
    --live-restore=false </dev/null >>"$dir/log" 2>&1 &
fi

echo "export DOCKER_HOST=unix://$dir/docker.sock" >"$dir/env.sh"
. "$dir/env.sh"
tries=400
until docker version >/dev/null 2>&1; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { tail -n 5 "$dir/log" >&2; exit 1; }
  sleep 0.05
done
log "ready: $(docker version --format '{{.Server.Version}}')"
