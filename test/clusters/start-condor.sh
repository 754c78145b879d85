#!/bin/bash
# An HTCondor pool for the tests (master, collector, negotiator, schedd, startd), on Debian 12 or newer, as root, without
# systemd. Nothing is installed: the packages of the suite EE_CONDOR_SUITE are unpacked into a folder of their own, and
# their programs are told to use the C library beside them. Jobs run on the machine itself, under EE_CONDOR_USER.
# A second run only checks; after a crash it starts anew and keeps the queue.
#
# EE_CONDOR_DIR    folder of this pool: configuration, queue, history, logs
# EE_CONDOR_PORT   its one TCP port, on 127.0.0.1
# EE_CONDOR_ROOT   folder of the programs; pools may share it
# EE_CONDOR_USER   account of daemons and jobs (nobody)
# EE_CONDOR_GROUPS client groups, a slot of 8 CPUs and 8000 MiB each (njs bigmem contract)
#
# Afterwards: . $EE_CONDOR_DIR/env.sh (PATH and CONDOR_CONFIG for the condor_* commands). Clients use 127.0.0.1:PORT with
# the tokens in $EE_CONDOR_DIR/tokens.d.
set -euo pipefail
base=${TMPDIR:-/tmp}/ee-clusters
dir=${EE_CONDOR_DIR:-$base/condor} root=${EE_CONDOR_ROOT:-$base/condor-root} port=${EE_CONDOR_PORT:-22618}
suite=${EE_CONDOR_SUITE:-trixie} account=${EE_CONDOR_USER:-nobody}
read -ra groups <<<"${EE_CONDOR_GROUPS:-njs bigmem contract}"
log() { echo "[condor] $*" >&2; }
trap 'log "failed in line $LINENO: $BASH_COMMAND"; tail -n 8 "$root".log "$dir"/log/MasterLog >&2 2>/dev/null || true' ERR
[ "$(id -u)" = 0 ] || { log "must be root"; exit 1; }
mkdir -p "$dir" "$(dirname "$root")"
chmod 755 "$dir" "$(dirname "$root")"

# -- the programs, once

unpack() {
  local mirror apt=$root.apt new=$root.new
  mirror=$({ sed -n 's/^URIs:[[:space:]]*//p' /etc/apt/sources.list.d/*.sources || true
    sed -nE 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+).*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list || true
  } 2>/dev/null | tr ' ' '\n' | grep -E '/debian/?$' | head -n 1) || { log "no Debian mirror is in /etc/apt"; return 1; }
  log "unpacking HTCondor of $suite"
  rm -rf "$apt" "$new" "$root"
  mkdir -p "$apt"/{lists/partial,cache/archives/partial,debs,files} "$new/lib"
  : >"$apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"
  # A state of its own, so that the machine's apt knows nothing of the other suite.
  local options=(-qq -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$apt/lists"
    -o Dir::Cache="$apt/cache" -o Dir::State::status="$apt/status" -o APT::Sandbox::User=root -o Acquire::Languages=none)
  apt-get "${options[@]}" update
  # With what its programs are linked with; libssl is loaded for IDTOKENS.
  (cd "$apt/debs" && apt-get "${options[@]}" download condor libc6 libstdc++6 libgcc-s1 libssl3t64 libpcre2-8-0 libuuid1 \
    libgomp1 zlib1g libzstd1 libcrypt1 patchelf)
  local deb library program
  for deb in "$apt"/debs/*.deb; do
    case $deb in */condor_*) dpkg -x "$deb" "$new" ;; *) dpkg -x "$deb" "$apt/files" ;; esac
  done
  for library in ld-linux-x86-64 libc libm libdl libpthread librt libresolv libnss_files libnss_dns libstdc++ libgcc_s \
    libssl libcrypto libpcre2-8 libuuid libgomp libz libzstd libcrypt; do
    find "$apt/files" -path '*/x86_64-linux-gnu/*' -name "$library.so.*" -exec cp -a {} "$new/lib/" \;
  done
  find "$new/usr/lib" -maxdepth 2 \( -name 'libcondor_utils*.so' -o -name 'libclassad.so.*' \) -exec cp -a {} "$new/lib/" \;
  rm -rf "$new"/usr/share "$new"/usr/lib/python3 "$new"/usr/lib/lib*.so* "$new"/usr/libexec/blahp \
    "$new"/usr/sbin/{ec2_gahp,gce_gahp,arc_gahp,AzureGAHPServer}
  # The run path of a program also serves the libraries that it loads; these stay as they are.
  local patchelf=("$new/lib/ld-linux-x86-64.so.2" --library-path "$new/lib" "$apt/files/usr/bin/patchelf")
  find "$new"/usr/{bin,sbin,libexec} -type f -size +4k | while read -r program; do
    [ "$(head -c4 "$program" | tr -d '\0')" = $'\x7fELF' ] || continue
    "${patchelf[@]}" --print-interpreter "$program" >/dev/null 2>&1 || continue # scripts, static programs
    "${patchelf[@]}" --set-interpreter "$root/lib/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$root/lib" "$program"
  done
  mv "$new" "$root"
  touch "$root/.ready"
  rm -rf "$apt"
}
(
  flock 9
  [ -e "$root/.ready" ] || unpack >"$root.log" 2>&1
) 9>"$root.lock"

# -- accounts, keys, configuration

owner=$(id -u "$account").$(id -g "$account")
mkdir -p "$dir"/{log,spool,execute,run,lock,passwords.d,tokens.d}
chown "${owner/./:}" "$dir"/{log,spool,execute,run,lock}
chmod 755 "$dir"/{log,spool,execute,run}
chmod 700 "$dir"/{passwords.d,tokens.d}
[ -s "$dir/passwords.d/POOL" ] || (umask 077 && head -c 64 /dev/urandom | base64 -w0 >"$dir/passwords.d/POOL")
cat >"$dir/condor_config" <<CONFIG
CONDOR_HOST = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:$port
SHARED_PORT_PORT = $port
USE_SHARED_PORT = True
NETWORK_INTERFACE = 127.0.0.1
BIND_ALL_INTERFACES = False
ENABLE_IPV6 = False
NO_DNS = True
DEFAULT_DOMAIN_NAME = test
UID_DOMAIN = ee.test
FILESYSTEM_DOMAIN = ee.test
TRUST_UID_DOMAIN = True
SOFT_UID_DOMAIN = True
STARTER_ALLOW_RUNAS_OWNER = True
CONDOR_IDS = $owner
DAEMON_LIST = MASTER SHARED_PORT COLLECTOR NEGOTIATOR SCHEDD STARTD
RELEASE_DIR = $root/usr
BIN = $root/usr/bin
SBIN = $root/usr/sbin
LIB = $root/usr/lib/condor
LIBEXEC = $root/usr/libexec/condor
ETC = $dir
LOCAL_DIR = $dir
LOG = $dir/log
SPOOL = $dir/spool
EXECUTE = $dir/execute
RUN = $dir/run
LOCK = $dir/lock
LOCAL_CONFIG_DIR =
LOCAL_CONFIG_FILE = $dir/local.conf
REQUIRE_LOCAL_CONFIG_FILE = False
BASE_CGROUP = ee-condor-$port
# Who may do what: the commands on this machine, and everybody with a token
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = FS, IDTOKENS
SEC_CLIENT_AUTHENTICATION_METHODS = FS, IDTOKENS
SEC_DEFAULT_ENCRYPTION = OPTIONAL
SEC_DEFAULT_INTEGRITY = REQUIRED
SEC_PASSWORD_DIRECTORY = $dir/passwords.d
SEC_TOKEN_POOL_SIGNING_KEY_FILE = $dir/passwords.d/POOL
SEC_TOKEN_DIRECTORY = $dir/tokens.d
SEC_TOKEN_SYSTEM_DIRECTORY = $dir/tokens.d
TRUST_DOMAIN = ee.test
ALLOW_ADMINISTRATOR = root@*, condor@*, $account@*
ALLOW_DAEMON = *
ALLOW_NEGOTIATOR = *
ALLOW_READ = *
ALLOW_WRITE = *
QUEUE_SUPER_USERS = root, condor, $account
# Everything soon, also what follows a crash
NEGOTIATOR_INTERVAL = 1
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
NEGOTIATOR_CONSIDER_PREEMPTION = False
SCHEDD_INTERVAL = 2
SCHEDD_MIN_INTERVAL = 1
PERIODIC_EXPR_INTERVAL = 1
MAX_PERIODIC_EXPR_INTERVAL = 2
UPDATE_INTERVAL = 5
UPDATE_SPREAD_TIME = 0
STARTER_UPDATE_INTERVAL = 3
STARTER_INITIAL_UPDATE_INTERVAL = 1
SHADOW_QUEUE_UPDATE_INTERVAL = 3
STARTER_LIST_UPDATE_INTERVAL = 1
MASTER_BACKOFF_CONSTANT = 1
RECONNECT_BACKOFF_CEILING = 2
JOB_START_COUNT = 50
JOB_START_DELAY = 0
CLAIM_WORKLIFE = 3600
CLAIM_PARTITIONABLE_LEFTOVERS = True
MAX_JOB_QUEUE_LOG_ROTATIONS = 1
CONDOR_FSYNC = False
SHUTDOWN_GRACEFUL_TIMEOUT = 10
SHUTDOWN_FAST_TIMEOUT = 5
RUNBENCHMARKS = False
STARTD_CRON_JOBLIST =
ENABLE_KERNEL_TUNING = False
STATISTICS_TO_PUBLISH =
CREATE_CGROUP_WITHOUT_ROOT = False
HISTORY = $dir/spool/history
# One machine, one slot for each client group, with more than the machine has
NUM_CPUS = $((8 * ${#groups[@]}))
MEMORY = $((8000 * ${#groups[@]}))
DISK = $((100000000 * ${#groups[@]}))
START = True
SUSPEND = False
PREEMPT = False
KILL = False
RANK = 0
EE_TEST_LIMIT = 1
STARTD_ATTRS = \$(STARTD_ATTRS) CLIENTGROUP
$(for i in "${!groups[@]}"; do
  type=$((i + 1))
  echo "SLOT_TYPE_$type = cpus=8, memory=8000, disk=$((100 / ${#groups[@]}))%, swap=$((100 / ${#groups[@]}))%"
  echo "SLOT_TYPE_${type}_PARTITIONABLE = True"
  echo "NUM_SLOTS_TYPE_$type = 1"
  echo "SLOT${type}_CLIENTGROUP = \"${groups[$i]}\""
done)
CONFIG
cat >"$dir/env.sh" <<ENVIRONMENT
export CONDOR_CONFIG=$dir/condor_config
export PATH=$root/usr/bin:$root/usr/sbin:\$PATH
ENVIRONMENT
. "$dir/env.sh"

# -- the daemons

# A process that ended may stay as a zombie: its state counts, not its number alone.
alive() {
  local pid
  pid=$(cat "$dir/run/master.pid" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = condor_master ] &&
    ! grep -q '^State:.*Z' "/proc/$pid/status"
}
# Those of a master that was killed live on, and two schedds must not share a queue.
end_orphans() {
  local process
  for process in /proc/[0-9]*; do
    case $(readlink "$process/exe" 2>/dev/null) in "$root"/*) ;; *) continue ;; esac
    ! tr '\0' '\n' <"$process/environ" 2>/dev/null | grep -qx "CONDOR_CONFIG=$CONDOR_CONFIG" || kill -KILL "${process#/proc/}" || true
  done
}
start() {
  end_orphans
  rm -f "$dir/run/master.pid" "$dir"/log/.*_address
  if [ -d /sys/fs/cgroup/memory ] && [ ! -e /sys/fs/cgroup/cpu,cpuacct ]; then
    # HTCondor limits memory only where the controllers cpu and cpuacct are one; it gets a view in which they are.
    setsid unshare -m --propagation slave bash -c 'set -e; view=$1/cgroups; mkdir -p "$view"; mount -t tmpfs cgroups "$view"
      for c in cpuset memory devices freezer blkio pids cpu cpuacct; do
        [ ! -d "/sys/fs/cgroup/$c" ] || { mkdir "$view/$c"; mount --bind "/sys/fs/cgroup/$c" "$view/$c"; }
      done
      ln -s cpuacct "$view/cpu,cpuacct"; mount --rbind "$view" /sys/fs/cgroup
      exec condor_master -pidfile "$1/run/master.pid"' _ "$dir" </dev/null >>"$dir/log/master.out" 2>&1
  else
    setsid condor_master -pidfile "$dir/run/master.pid" </dev/null >>"$dir/log/master.out" 2>&1
  fi
}
until_true() {
  local tries=800 what=$1
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { log "timed out: $what"; return 1; }
    sleep 0.05
  done
}
ready() {
  [ "$(condor_status -af Name | grep -c .)" -ge ${#groups[@]} ] && condor_status -schedd -af Name | grep -q . &&
    condor_status -negotiator -af Name | grep -q .
}
alive || start
until_true "the master" alive
until_true "slots, schedd and negotiator" ready
[ -s "$dir/tokens.d/$account" ] ||
  (umask 077 && condor_token_create -identity "$account@ee.test" -key POOL -lifetime 31536000 >"$dir/tokens.d/$account")
log "ready: $(condor_status -af Name Cpus ClientGroup | tr '\n' ';')"
