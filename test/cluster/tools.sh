#!/usr/bin/env bash
# Installs what a cluster on this machine is made of: Debian's packages, and Go programs built once into the cache.
#
# The programs come from the Go module proxy at pinned versions and are static, so that they run in images without a
# system. The Kubernetes daemons take about five minutes the first time on two cores, everything else about three.
#
#   tools.sh          all
#   tools.sh charts   only what checks charts: helm, helm-unittest, kubeconform. Debian's packages are not touched.

source "$(dirname "$0")/settings.sh"

packages=(containerd runc containernetworking-plugins buildah nftables conntrack iptables etcd-server mmdebstrap
  iproute2 openssl kmod swaks)

install_packages() {
  local missing=()
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    # policy-rc.d keeps Debian from starting its own etcd and containerd beside ours.
    local policy=/usr/sbin/policy-rc.d placed=
    if [ ! -e "$policy" ]; then
      printf '#!/bin/sh\nexit 101\n' >"$policy"
      chmod 755 "$policy"
      placed=1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    [ -z "$placed" ] || rm "$policy"
  fi
  command -v kubectl >/dev/null || die "kubectl is missing: install it (1.33 to 1.35) and try again"
  command -v go >/dev/null || die "go is missing: install Go 1.24 or later and try again"
}

# build NAME VERSION COMMAND… runs once per version; COMMAND leaves the program in $GOBIN or at $target.
build() {
  local name=$1 version=$2
  shift 2
  target=$cache/bin/$name-$version
  [ -x "$target" ] && return
  say "building $name $version"
  mkdir -p "$cache/bin" "$cache/build"
  GOBIN=$cache/build "$@"
  [ -x "$target" ] || mv "$cache/build/$name" "$target"
}

build_kubernetes() {
  local package=k8s.io/component-base/version
  (cd "$here/kubernetes" && go build -p 2 -trimpath -o "$target" -ldflags "-s -w
    -X $package.gitVersion=$kubernetes_version
    -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$kubernetes_version")" .)
}

# install PACKAGE@VERSION [LINKER-FLAGS]
install() { go install -p 2 -trimpath -ldflags "-s -w ${2:-}" "$1"; }

# Helm takes the version of Kubernetes for which it renders without a cluster, and its own, from its linker.
helm_flags() {
  local minor package
  minor=$(cut -d. -f2 <<<"$kubernetes_version")
  for package in pkg/chartutil pkg/lint/rules; do
    printf -- '-X helm.sh/helm/v3/%s.k8sVersionMajor=1 -X helm.sh/helm/v3/%s.k8sVersionMinor=%s ' "$package" "$package" "$minor"
  done
  printf -- '-X helm.sh/helm/v3/internal/version.version=%s' "$helm_version"
}

chart_tools() {
  build helm "$helm_version" install "helm.sh/helm/v3/cmd/helm@$helm_version" "$(helm_flags)"
  build helm-unittest "$helm_unittest_version" install "github.com/helm-unittest/helm-unittest/cmd/helm-unittest@$helm_unittest_version" "$(helm_flags)"
  build kubeconform "$kubeconform_version" install "github.com/yannh/kubeconform/cmd/kubeconform@$kubeconform_version"
}

cluster_tools() {
  install_packages
  build kubernetes "$kubernetes_version" build_kubernetes
  build coredns "$coredns_version" install "github.com/coredns/coredns@$coredns_version"
  build metrics-server "$metrics_server_version" install "sigs.k8s.io/metrics-server/cmd/metrics-server@$metrics_server_version"
  build nats-server "$nats_version" install "github.com/nats-io/nats-server/v2@$nats_version"
}

export CGO_ENABLED=0 GOFLAGS=
[ "${1:-}" = charts ] || cluster_tools
command -v go >/dev/null || die "go is missing: install Go 1.24 or later and try again"
chart_tools
