#!/usr/bin/env bash
# A cluster of your own with Kubeflow Pipelines, to try `kale-tag submit` on a real one.
#
#   examples/cluster.sh up      make it: kind, and KFP's own manifests (10 minutes, 6 GB of images)
#   examples/cluster.sh run     submit the example `hello`, twice, and wait for it
#   examples/cluster.sh down    remove it
#
# It needs Docker, kind, kubectl and kale-tag. KFP=2.14.3 says which version of Kubeflow Pipelines,
# HOST=http://... submits to a cluster that you have already, and makes none.
set -euo pipefail

KFP="${KFP:-2.14.3}"
NAME="${NAME:-kale-tag}"
PORT="${PORT:-8080}"
MANIFESTS="github.com/kubeflow/pipelines/manifests/kustomize"
HERE="$(cd "$(dirname "$0")" && pwd)"

need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 2; }
  done
}

kube() {
  kubectl --context "kind-$NAME" "$@"
}

up() {
  need docker kind kubectl
  kind get clusters | grep -qx "$NAME" || kind create cluster --name "$NAME" --wait 5m
  kube apply -k "$MANIFESTS/cluster-scoped-resources?ref=$KFP"
  kube wait --for condition=established --timeout=60s crd/applications.app.k8s.io
  kube apply -k "$MANIFESTS/env/platform-agnostic?ref=$KFP"
  kube wait --namespace kubeflow --for condition=available --timeout=20m deployment --all
  echo "ready: examples/cluster.sh run"
}

run() {
  need kale-tag
  local forward=""
  if [ -z "${HOST:-}" ]; then
    need kubectl
    kube port-forward --namespace kubeflow svc/ml-pipeline-ui "$PORT:80" >/dev/null &
    forward=$!
    # shellcheck disable=SC2064 # the process that is meant is the one of now
    trap "kill $forward" EXIT
    HOST="http://localhost:$PORT"
    sleep 3
  fi
  local spec="$HERE/hello/hello.yaml" notebook="$HERE/hello/hello.ipynb"
  kale-tag submit "$spec" "$notebook" --host "$HOST" --wait
  # The same package again: no second version, and the steps come from the cache.
  kale-tag submit "$spec" "$notebook" --host "$HOST" --wait
  if [ -n "$forward" ]; then
    echo "to look at the runs: kubectl --context kind-$NAME port-forward -n kubeflow svc/ml-pipeline-ui $PORT:80"
  fi
}

down() {
  need kind
  kind delete cluster --name "$NAME"
}

case "${1:-}" in
  up | run | down) "$1" ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
