#!/usr/bin/env bash
# Brings up a Kubernetes of one node on this machine: etcd, the API server, controller manager and scheduler, containerd
# with a bridge network, the kubelet, kube-proxy, CoreDNS and metrics-server, and the images of Postfleet. What is up
# already stays up, what has ended is started again; where etcd or containerd have ended, the cluster begins anew.
#
# Everything lies below $VAR. Beyond it the script creates the bridge, changes the kernel settings listed in
# keep_kernel_settings, and makes the mount points listed in mount_points; it writes each down for down.sh to undo.
# containerd and the kubelet live in a mount namespace of their own, so that their mounts end with them and the fixed
# paths that they insist on (/run/containerd, /var/lib/kubelet, …) lead below $VAR.
#
# Limits: one such cluster per machine (the addresses are fixed); cgroup v1 or v2 with cgroupfs; pods reach each other
# and the API server, and nothing beyond: there is no masquerading, and CoreDNS does not forward.

source "$(dirname "$0")/settings.sh"

mount_points=(/run/containerd /run/netns /var/lib/kubelet /var/lib/cni /var/log/containers)

keep_kernel_settings() {
  # The last four are the kubelet's own doing.
  local kept=$scratch/run/kernel-settings
  [ -s "$kept" ] || sysctl -e net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables \
    vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops >"$kept"
}

make_directories() {
  is_cluster || [ -z "$(ls -A "$scratch" 2>/dev/null)" ] || die "$scratch holds something else: name another directory (VAR=)"
  mkdir -p "$scratch"/{run,log,volumes,etcd,images,containerd/{root,state},configuration/net.d}
  touch "$scratch/postfleet-cluster"
  local path
  for path in "${mount_points[@]}"; do
    mkdir -p "$scratch/mounts$path"
    if [ ! -d "$path" ]; then
      mkdir -p "$path"
      echo "$path" >>"$scratch/run/directories"
    fi
  done
}

# Files of configuration/ are templates in the shell's own notation, for a few names only.
write_configuration() {
  export scratch containerd_socket bridge node_address pod_subnet cluster_subnet dns_service
  local name
  for name in containerd.toml kubelet.yaml proxy.yaml; do
    render "$here/configuration/$name" | replace "$scratch/configuration/$name"
  done
  render "$here/configuration/network.conflist" | replace "$scratch/configuration/net.d/10-bridge.conflist"
  # Pods that use the node's resolver ask CoreDNS too: nothing asks outside.
  echo "nameserver $dns_service" | replace "$scratch/configuration/resolv.conf"
}

# A file that says the same already is not touched: kube-proxy ends when its own is written.
replace() {
  cat >"$1.part"
  if cmp -s "$1.part" "$1"; then rm "$1.part"; else mv "$1.part" "$1"; fi
}

render() {
  local text name
  text=$(<"$1")
  for name in scratch containerd_socket bridge node_address pod_subnet cluster_subnet dns_service; do
    text=${text//"\${$name}"/${!name}}
  done
  printf '%s\n' "$text"
}

make_network() {
  [ -d /proc/sys/net/bridge ] || modprobe br_netfilter || die "the kernel has no br_netfilter: Services need it"
  if [ -d "/sys/class/net/$bridge" ] && [ ! -e "$scratch/run/bridge" ]; then
    die "the bridge $bridge exists already: another cluster runs here (make cluster-down VAR=its directory)"
  fi
  if [ ! -d "/sys/class/net/$bridge" ]; then
    ip link add "$bridge" type bridge
    echo "$bridge" >"$scratch/run/bridge"
    ip address add "$node_address/24" dev "$bridge"
    ip link set "$bridge" up
    # Services are reached from this machine with the node's address, whatever other routes it has.
    ip route add "$service_subnet" dev "$bridge" src "$node_address"
  fi
  sysctl -q -w net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
}

start_control_plane() {
  local kubernetes=$cache/bin/kubernetes-$kubernetes_version pki=$scratch/pki
  start etcd etcd --name "$node_name" --data-dir "$scratch/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "$etcd_client" --advertise-client-urls "$etcd_client" \
    --listen-peer-urls "$etcd_peer" --initial-advertise-peer-urls "$etcd_peer" \
    --initial-cluster "$node_name=$etcd_peer"
  start apiserver "$kubernetes" kube-apiserver \
    --etcd-servers "$etcd_client" \
    --bind-address "$node_address" --advertise-address "$node_address" --secure-port 6443 \
    --service-cluster-ip-range "$service_subnet" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true \
    --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --kubelet-client-certificate "$pki/apiserver-kubelet-client.crt" \
    --kubelet-client-key "$pki/apiserver-kubelet-client.key" --kubelet-preferred-address-types InternalIP \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$pki/service-account.pub" \
    --service-account-signing-key-file "$pki/service-account.key" \
    --feature-gates SizeBasedListCostEstimate=false --enable-aggregator-routing=true --requestheader-client-ca-file "$pki/front-proxy-ca.crt" \
    --requestheader-allowed-names front-proxy-client --requestheader-username-headers X-Remote-User \
    --requestheader-group-headers X-Remote-Group --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$pki/front-proxy-client.crt" --proxy-client-key-file "$pki/front-proxy-client.key"
  wait_until 60 "the API server" kube get --raw /readyz
  start controller-manager "$kubernetes" kube-controller-manager --kubeconfig "$pki/controller-manager.kubeconfig" \
    --bind-address 127.0.0.1 --cluster-cidr "$cluster_subnet" --allocate-node-cidrs=true \
    --service-cluster-ip-range "$service_subnet" --use-service-account-credentials --leader-elect=false \
    --root-ca-file "$pki/ca.crt" --service-account-private-key-file "$pki/service-account.key" \
    --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key"
  start scheduler "$kubernetes" kube-scheduler --kubeconfig "$pki/scheduler.kubeconfig" \
    --authentication-kubeconfig "$pki/scheduler.kubeconfig" --authorization-kubeconfig "$pki/scheduler.kubeconfig" \
    --bind-address 127.0.0.1 --leader-elect=false
}

# The process that holds the mount namespace open. containerd's shims outlive it: the namespace ends with the last.
hold_mounts() {
  local path script=
  for path in "${mount_points[@]}"; do
    script+="mount --bind '$scratch/mounts$path' '$path'; "
  done
  start mounts unshare --mount --propagation private bash -ec "$script exec sleep infinity"
  local pid
  read -r pid _ <"$scratch/run/mounts.pid"
  wait_until 5 "the mount namespace" grep -q sleep "/proc/$pid/comm"
  in_mounts=(nsenter --target "$pid" --mount)
}

start_node() {
  local kubernetes=$cache/bin/kubernetes-$kubernetes_version
  hold_mounts
  start containerd "${in_mounts[@]}" containerd --config "$scratch/configuration/containerd.toml"
  wait_until 20 containerd ctr --address "$containerd_socket" version
  start kubelet "${in_mounts[@]}" "$kubernetes" kubelet --config "$scratch/configuration/kubelet.yaml" \
    --kubeconfig "$scratch/pki/kubelet.kubeconfig" --node-ip "$node_address" --hostname-override "$node_name"
  start proxy "$kubernetes" kube-proxy --config "$scratch/configuration/proxy.yaml" --hostname-override "$node_name"
}

start_addons() {
  local name
  for name in coredns metrics-server storage; do
    render "$here/addons/$name.yaml" | kube apply --server-side -f - >/dev/null
  done
  bash "$here/volumes.sh"
}

# What the others lean on; whoever else has ended is simply started again.
foundations_alive() { alive etcd && alive mounts && alive containerd; }

if uses_existing_cluster; then
  kubectl get --raw /readyz >/dev/null || die "the cluster of KUBECONFIG=$KUBECONFIG does not answer"
  say "using the cluster of KUBECONFIG=$KUBECONFIG; its nodes must be able to pull the images themselves"
  exit
fi

become_root "$@"
take_turn
started=$(date +%s)
bash "$here/tools.sh"

if ! foundations_alive && compgen -G "$scratch/run/*.pid" >/dev/null; then
  say "only parts of the cluster are left: starting afresh"
  bash "$here/down.sh"
fi

make_directories
keep_kernel_settings
bash "$here/certificates.sh"
write_configuration
make_network
start_control_plane
start_node
bash "$here/images.sh"
start_addons

wait_until 60 "the node" kube wait --for=condition=Ready "node/$node_name" --timeout=1s
wait_until 90 CoreDNS kube -n kube-system rollout status deployment/coredns --timeout=1s
wait_until 90 metrics-server kube -n kube-system rollout status deployment/metrics-server --timeout=1s
say "up after $(($(date +%s) - started)) s: export KUBECONFIG=$kubeconfig"
