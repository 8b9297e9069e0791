#!/usr/bin/env bash
# Keeps local volumes ready for claims: sixteen of them, each a directory below $VAR/volumes. A volume whose claim was
# deleted is emptied and made anew, as a provisioner would have done.

source "$(dirname "$0")/settings.sh"

volume() {
  cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1}
spec:
  storageClassName: local
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {path: $scratch/volumes/$1}
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node_name]}]
YAML
}

for name in $(kube get persistentvolumes -o jsonpath='{.items[?(@.status.phase=="Released")].metadata.name}'); do
  [[ $name == volume-* ]] || continue
  kube delete persistentvolume "$name" >/dev/null
  rm -rf --one-file-system "${scratch:?}/volumes/$name"
done
for number in {1..16}; do
  mkdir -p "$scratch/volumes/volume-$number"
  volume "volume-$number"
done | kube apply --server-side -f - >/dev/null
