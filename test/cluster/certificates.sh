#!/usr/bin/env bash
# Makes the keys and certificates of one cluster below $VAR/pki, and a kubeconfig for each of its parts. What is there
# already is kept: restarted daemons must find the authority that the others trust.

source "$(dirname "$0")/settings.sh"

pki=$scratch/pki
mkdir -p "$pki"
chmod 700 "$pki"
cd "$pki"

key() { [ -s "$1.key" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

# authority NAME
authority() {
  key "$1"
  [ -s "$1.crt" ] || openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 30 -out "$1.crt"
}

# certificate AUTHORITY NAME SUBJECT USAGE [SUBJECT-ALTERNATIVE-NAMES]
certificate() {
  local authority=$1 name=$2 subject=$3 usage=$4 names=${5:-}
  key "$name"
  [ -s "$name.crt" ] && return
  {
    echo "keyUsage=critical,digitalSignature"
    echo "extendedKeyUsage=$usage"
    [ -z "$names" ] || echo "subjectAltName=$names"
  } >"$name.ext"
  openssl req -new -key "$name.key" -subj "$subject" |
    openssl x509 -req -CA "$authority.crt" -CAkey "$authority.key" -CAcreateserial -days 30 -extfile "$name.ext" \
      -out "$name.crt" 2>/dev/null
}

# user FILE SUBJECT writes a kubeconfig for that user.
user() {
  local file=$1 name
  name=$(basename "$file" .kubeconfig)
  certificate ca "$name" "$2" clientAuth
  [ -s "$file" ] && return
  kubectl config --kubeconfig "$file" set-cluster local --server "https://$node_address:6443" \
    --certificate-authority ca.crt --embed-certs
  kubectl config --kubeconfig "$file" set-credentials "$name" --client-certificate "$name.crt" \
    --client-key "$name.key" --embed-certs
  kubectl config --kubeconfig "$file" set-context local --cluster local --user "$name"
  kubectl config --kubeconfig "$file" use-context local
}

authority ca
authority front-proxy-ca
certificate ca apiserver /CN=kube-apiserver serverAuth \
  "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$kubernetes_service,IP:$node_address"
certificate ca apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
certificate front-proxy-ca front-proxy-client /CN=front-proxy-client clientAuth
key service-account
[ -s service-account.pub ] || openssl ec -in service-account.key -pubout -out service-account.pub 2>/dev/null

{
  user "$kubeconfig" /O=system:masters/CN=admin
  user "$pki/controller-manager.kubeconfig" /CN=system:kube-controller-manager
  user "$pki/scheduler.kubeconfig" /CN=system:kube-scheduler
  user "$pki/proxy.kubeconfig" /CN=system:kube-proxy
  user "$pki/kubelet.kubeconfig" "/O=system:nodes/CN=system:node:$node_name"
} >/dev/null
