#!/usr/bin/env bash
# Ends the cluster that up.sh started in $VAR, undoes what up.sh wrote down, and removes $VAR. Signals only processes
# whose id and start time stand in a file below $VAR. Runs again, or after half a start, without complaint.

source "$(dirname "$0")/settings.sh"

# Pods first, while there is somebody who takes their network and mounts apart. Without the controller manager nobody
# makes them anew.
delete_pods() {
  alive apiserver && alive kubelet && alive containerd || return 0
  stop controller-manager
  timeout 60 kubectl --kubeconfig "$kubeconfig" delete pods --all --all-namespaces --grace-period=1 --wait >/dev/null 2>&1 ||
    say "some pods did not end in time: their processes are stopped one by one"
}

# containerd writes down the ids of a container's first process and of the shim above it.
stop_containers() {
  local file pid name
  for file in "$scratch"/containerd/state/io.containerd.runtime.v2.task/k8s.io/*/{init,shim}.pid; do
    [ -s "$file" ] || continue
    pid=$(<"$file")
    name=container-$(basename "$(dirname "$file")")-$(basename "$file" .pid)
    # An id is a container's only as long as the process sees our files as its own.
    [ -d "/proc/$pid" ] && belongs_to_cluster "$pid" || continue
    write_down "$name" "$pid"
    stop "$name" 2
  done
}

belongs_to_cluster() {
  grep -qs "$scratch\|k8s.io\|kubepods" "/proc/$1/cmdline" "/proc/$1/cgroup"
}

stop_daemons() {
  local name
  for name in kubelet proxy scheduler controller-manager apiserver etcd containerd; do stop "$name"; done
  stop_containers
  stop mounts
}

undo_network() {
  local table address_family name
  if [ -e "$scratch/run/bridge" ] && [ -d "/sys/class/net/$bridge" ]; then
    local port
    for port in "/sys/class/net/$bridge/brif"/*; do
      [ ! -e "$port" ] || ip link delete "$(basename "$port")" 2>/dev/null || true
    done
    ip link delete "$bridge"
    for table in ip ip6; do nft delete table "$table" kube-proxy 2>/dev/null || true; done
  fi
}

undo_kernel_settings() {
  [ ! -s "$scratch/run/kernel-settings" ] || sysctl -q -p "$scratch/run/kernel-settings" >/dev/null || true
}

# The namespace of the mounts is gone by then; what is left below $VAR would be a bug, and must not be deleted through.
remove_files() {
  local path
  while read -r path; do umount --lazy "$path"; done < <(cut -d' ' -f2 /proc/self/mounts | grep "^$scratch/" | sort -r || true)
  while read -r path; do rmdir "$path" 2>/dev/null || true; done < <(cat "$scratch/run/directories" 2>/dev/null || true)
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true
  rm -rf --one-file-system "$scratch"
}

if uses_existing_cluster; then
  say "the cluster of KUBECONFIG=$KUBECONFIG is not ours to stop"
  exit
fi
is_cluster || exit 0
become_root "$@"
delete_pods
stop_daemons
undo_network
undo_kernel_settings
remove_files
say "down: nothing is left in $scratch"
