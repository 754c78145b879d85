#!/bin/bash
# A Slurm for the tests, on Debian or Ubuntu, as root, without systemd: installs it if missing (not with --no-install),
# starts it, waits until it takes jobs. Two nodes on this machine, each with more CPUs than the machine may have:
# PREFIX1 in the default partition main, PREFIX2 in the partition bigmem. A second run restarts what died.
# EE_SLURM_DIR: folder for everything, which other accounts must be able to enter. EE_SLURM_PORT: the first of four
# ports. EE_SLURM_PREFIX: of the nodes' names, another one for each cluster of a machine. EE_SLURM_CPUS: of each node.
# Afterwards: . $EE_SLURM_DIR/env.sh (sets SLURM_CONF, EE_SLURM_REST_URL, EE_SLURM_REST_SOCKET, EE_SLURM_TOKEN_FILE and
# EE_SLURM_JOBCOMP_FILE).
set -euo pipefail
dir=${EE_SLURM_DIR:-${TMPDIR:-/tmp}/ee-clusters/slurm}
port=${EE_SLURM_PORT:-22017}
prefix=${EE_SLURM_PREFIX:-ee}
cpus=${EE_SLURM_CPUS:-8}
export DEBIAN_FRONTEND=noninteractive
log() { echo "[slurm] $*" >&2; }

[ "$(id -u)" = 0 ] || { log "must be root: slurmd switches accounts"; exit 1; }

missing=()
for package in slurmctld slurmd slurm-client slurmrestd slurm-wlm-jwt-plugin munge; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
mkdir -p "$dir"
if [ ${#missing[@]} -gt 0 ]; then
  [ "${1:-}" != --no-install ] || { log "missing: apt-get install ${missing[*]}"; exit 1; }
  log "installing ${missing[*]}"
  # Their daemons are not to start by themselves with settings of their own.
  added=
  [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; added=1; }
  install() { apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}"; }
  { install || { apt-get -o DPkg::Lock::Timeout=300 update -qq && install; }; } >"$dir/apt.log" 2>&1 || { tail -n 20 "$dir/apt.log" >&2; exit 1; }
  [ -z "$added" ] || rm -f /usr/sbin/policy-rc.d
fi

mkdir -p "$dir"/{run,log,spool/ctld,spool/"${prefix}1",spool/"${prefix}2"}
chmod 755 "$dir" "$dir"/{run,log,spool,spool/"${prefix}1",spool/"${prefix}2"}
umask_file() { [ -s "$1" ] || (umask 077; head -c "$2" /dev/urandom >"$1"); }
umask_file "$dir/munge.key" 128
umask_file "$dir/jwt.key" 32

# Jobs that use too much memory are ended only where the controllers of cgroup v1 are to be had.
tracking=proctrack/linuxproc tasks=task/none
rm -f "$dir/cgroup.conf"
if [ -d /sys/fs/cgroup/memory ] && [ -d /sys/fs/cgroup/freezer ] && [ -w /sys/fs/cgroup/memory/cgroup.procs ]; then
  tracking=proctrack/cgroup tasks=task/cgroup
  printf '%s\n' CgroupPlugin=cgroup/v1 CgroupMountpoint=/sys/fs/cgroup ConstrainRAMSpace=yes ConstrainCores=no \
    ConstrainDevices=no >"$dir/cgroup.conf"
fi
host=$(hostname -s)
cat >"$dir/slurm.conf" <<END
ClusterName=eetest
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge.sock
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=$dir/jwt.key
CredType=cred/munge
StateSaveLocation=$dir/spool/ctld
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
ProctrackType=$tracking
TaskPlugin=$tasks
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
PropagateResourceLimits=NONE
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1,bf_resolution=1,kill_invalid_depend
EnforcePartLimits=ALL
PriorityType=priority/basic
KillWait=5
InactiveLimit=0
MinJobAge=300
MessageTimeout=10
ReturnToService=2
MailProg=/bin/true
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/jobcomp.log
NodeName=${prefix}1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=$cpus RealMemory=16000 State=UNKNOWN
NodeName=${prefix}2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=$cpus RealMemory=64000 State=UNKNOWN
PartitionName=main Nodes=${prefix}1 Default=YES DefaultTime=10 MaxTime=24:00:00 State=UP
PartitionName=bigmem Nodes=${prefix}2 DefaultTime=10 MaxTime=7-00:00:00 State=UP
END
export SLURM_CONF=$dir/slurm.conf

# A process that ended may stay as a zombie: its state counts, not its number alone.
alive() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] &&
    ! grep -q '^State:.*Z' "/proc/$pid/status"
}
within() {
  local tries=$(($1 * 20)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { log "$what did not come up"; tail -n 5 "$dir"/log/* >&2; exit 1; }
    sleep 0.05
  done
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

if ! alive "$dir/run/munged.pid" munged; then
  rm -f "$dir"/run/munge.sock*
  # --force: the folders may lie below /tmp, which everybody can write
  munged --force --socket="$dir/run/munge.sock" --key-file="$dir/munge.key" --pid-file="$dir/run/munged.pid" \
    --log-file="$dir/log/munged.log" --seed-file="$dir/run/munge.seed" --num-threads=2 2>>"$dir/log/munged.err"
fi
within 10 munged test -S "$dir/run/munge.sock"
alive "$dir/run/slurmctld.pid" slurmctld || setsid slurmctld </dev/null >/dev/null 2>>"$dir/log/slurmctld.err"
within 30 slurmctld scontrol ping
for node in "${prefix}1" "${prefix}2"; do
  alive "$dir/run/slurmd.$node.pid" slurmd || setsid slurmd -N "$node" </dev/null >/dev/null 2>>"$dir/log/slurmd.err"
done
# A node that a crash left drained or down comes back.
sinfo -h -N -o '%N %T' | awk '$2 ~ /drain|down/ {print $1}' | sort -u | while read -r node; do
  scontrol update nodename="$node" state=resume || true
done
ready() { [ "$(sinfo -h -N -o %T | grep -cE '^(idle|mixed|allocated|completing)$')" = 2 ]; }
within 30 "the nodes" ready

# The REST daemon refuses to run as root or as the account of Slurm.
if ! alive "$dir/run/slurmrestd.pid" slurmrestd; then
  install -d -o nobody "$dir/run/rest"
  rm -f "$dir/run/rest/socket"
  SLURM_JWT=daemon SLURMRESTD_SECURITY=disable_unshare_sysv,disable_unshare_files \
    setsid setpriv --reuid=nobody --regid=nogroup --clear-groups slurmrestd -f "$dir/slurm.conf" -a rest_auth/jwt \
    -s openapi/v0.0.38 "127.0.0.1:$((port + 3))" "unix:$dir/run/rest/socket" </dev/null >"$dir/log/slurmrestd.log" 2>&1 &
  echo $! >"$dir/run/slurmrestd.pid"
fi
within 10 slurmrestd listens $((port + 3))

(umask 077; scontrol token username=root lifespan=86400 >"$dir/token")
cat >"$dir/env.sh" <<END
export SLURM_CONF=$dir/slurm.conf
export EE_SLURM_REST_URL=http://127.0.0.1:$((port + 3))
export EE_SLURM_REST_SOCKET=$dir/run/rest/socket
export EE_SLURM_TOKEN_FILE=$dir/token
export EE_SLURM_JOBCOMP_FILE=$dir/jobcomp.log
END
log "ready: $(sinfo -h -o '%P %t %c CPUs' | paste -sd,)"
