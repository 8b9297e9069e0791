# Names, versions, addresses and the few helpers that the scripts of this folder share. Sourced, never run.
#
# $VAR is the scratch directory: everything that belongs to one running cluster, removed by down.sh.
# $POSTFLEET_CACHE holds what is costly to build and the same every time: binaries, image layers.
# Both keep to this machine; nothing here writes elsewhere, except what up.sh says it notes down for down.sh to undo.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# Relative names mean the top of the tree, wherever the script was called from.
scratch=$(cd "$root" && realpath -m "${VAR:-var/cluster}")
cache=$(cd "$root" && realpath -m "${POSTFLEET_CACHE:-.tools/cluster}")

kubernetes_version=v1.34.4
coredns_version=v1.15.0
metrics_server_version=v0.9.0
nats_version=v2.15.2
helm_version=v3.22.0
# Later ones replace a module in their go.mod, which `go install` refuses.
helm_unittest_version=v1.0.0
kubeconform_version=v0.8.0
debian_suite=bookworm
# What the upgrade scenario begins with: the commit of the release before.
previous_build=${POSTFLEET_PREVIOUS:-851b8b1}

bridge=postfleet0
node_name=node1
node_address=10.244.0.1
pod_subnet=10.244.0.0/24
cluster_subnet=10.244.0.0/16
service_subnet=10.96.0.0/16
kubernetes_service=10.96.0.1
dns_service=10.96.0.10
etcd_client=http://127.0.0.1:23790
etcd_peer=http://127.0.0.1:23800

kubeconfig=$scratch/admin.kubeconfig
containerd_socket=$scratch/run/containerd.sock

say() { printf 'cluster: %s\n' "$*"; }
die() {
  printf 'cluster: %s\n' "$*" >&2
  exit 1
}

# Tells a directory that up.sh made, and down.sh may remove, from any other.
is_cluster() { [ -e "$scratch/postfleet-cluster" ]; }

# An existing cluster is used where KUBECONFIG names one; the kubeconfig that up.sh itself wrote is not such a one.
uses_existing_cluster() {
  [ -n "${KUBECONFIG:-}" ] && [ "$(realpath -m "$KUBECONFIG")" != "$kubeconfig" ]
}

# Bridges, mounts and cgroups are root's.
become_root() {
  [ "$(id -u)" = 0 ] || exec sudo --preserve-env=VAR,POSTFLEET_CACHE,POSTFLEET_PREVIOUS,KUBECONFIG,PATH bash "$0" "$@"
}

# One script at a time per scratch directory. The lock is let go with the shell; daemons do not inherit it (see start).
take_turn() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock -w 1200 9 || die "another make cluster holds $cache/lock"
}

# --- Processes. Each is written down as "pid starttime", so that an id used again by a stranger is never signalled.

start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

alive() {
  local pid started
  [ -r "$scratch/run/$1.pid" ] && read -r pid started <"$scratch/run/$1.pid" &&
    [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ]
}

write_down() { printf '%s %s\n' "$2" "$(start_time "$2")" >"$scratch/run/$1.pid"; }

# start NAME COMMAND… keeps the process in a session of its own, so that Ctrl-C in make does not reach it.
start() {
  local name=$1
  shift
  alive "$name" && return
  setsid "$@" >>"$scratch/log/$name.log" 2>&1 </dev/null 9>&- &
  write_down "$name" $!
}

# stop NAME [SECONDS]: SIGTERM, and SIGKILL to whoever has not ended by then.
stop() {
  local name=$1 left=$((${2:-10} * 10)) pid
  if alive "$name"; then
    read -r pid _ <"$scratch/run/$name.pid"
    kill -TERM "$pid" 2>/dev/null || true
    while alive "$name" && [ $((left -= 1)) -gt 0 ]; do sleep 0.1; done
    alive "$name" && kill -KILL "$pid" 2>/dev/null || true
    while alive "$name"; do sleep 0.05; done
  fi
  rm -f "$scratch/run/$name.pid"
}

# wait_until SECONDS WHAT COMMAND… asks every tenth of a second, and says what did not come true.
wait_until() {
  local deadline=$(($(date +%s) + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$deadline" ] || die "$what: not within the time; see $scratch/log"
    sleep 0.1
  done
}

kube() { kubectl --kubeconfig "$kubeconfig" "$@"; }
