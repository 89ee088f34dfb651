#!/usr/bin/env bash
# What a user does on Kubernetes, on a cluster of this machine's own: installs the operator, applies
# examples/cluster.yaml, sends an event and finds it in the collector. Run again, it does the same with what is there.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly relay=https://monitoring-relay.default.svc/ event=examples/events/packet-loss.json
# Longer than a busy machine needs to start a few pods.
readonly patience=5m

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

fail() {
  printf '\ncluster-demo: %s\n' "$*" >&2
  exit 1
}

# kubectl, helm and, in the cluster's network, everything else.
kubectl() { tests/cluster/kubectl "$@"; }
helm() { tests/cluster/helm "$@"; }
curl() { tests/cluster/enter curl "$@"; }

# Shows a command, runs it, and indents what it prints.
run() {
  printf '  $ %s\n' "$*"
  "$@" | sed 's/^/    /'
}

tail_of_collector() { kubectl exec archive-collector-0 -- /visnyk-collector tail "$@"; }

type -P curl >/dev/null || fail "curl is needed to send events"

say "Starting a Kubernetes (some fifteen minutes the first time, when its programs are built)"
make --no-print-directory cluster-up

say "Building images of operator, relay and collector (some minutes the first time)"
echo "  debug builds, sooner than a release; \`make images\` alone builds what one would ship"
IMAGES_PROFILE=dev make --no-print-directory images

say "Installing the operator"
run helm upgrade --install visnyk charts/visnyk -n visnyk-system --create-namespace --wait --timeout "$patience"

say "Applying a WebhookRelay and a Collector, and waiting until they are ready"
run kubectl apply -f examples/cluster.yaml
run kubectl wait --for=condition=Ready --timeout "$patience" webhookrelay/monitoring collector/archive
run kubectl get webhookrelays,collectors

say "Sending $event to the relay, from inside the cluster's network"
# A pod is ready some moments before its Service leads to it; until then connections are refused.
mkdir -p .demo
kubectl get configmap monitoring-relay-ca -o 'jsonpath={.data.ca\.crt}' >.demo/cluster-ca.crt
before=$(tail_of_collector --lines 1000000 | wc -l)
run curl --silent --show-error --fail-with-body --retry 7 --retry-connrefused --cacert .demo/cluster-ca.crt "$relay" -d "@$event"

say "What the collector has of it"
for _ in {1..100}; do
  [[ $(tail_of_collector --lines 1000000 | wc -l) -gt $before ]] && break
  sleep 0.2
done
[[ $(tail_of_collector --lines 1000000 | wc -l) -gt $before ]] ||
  fail "the event did not arrive; tests/cluster/kubectl logs monitoring-relay-0 says why"
run kubectl exec archive-collector-0 -- /visnyk-collector tail --lines 1

say "Nothing vanishes: accepted = delivered + dead-lettered + dropped + damaged + pending"
run kubectl exec monitoring-relay-0 -- /visnyk-relay status

say "Where to look next"
cat <<END
  tests/cluster/kubectl describe webhookrelay monitoring      how it is, and why
  tests/cluster/kubectl edit webhookrelay monitoring          a change is live in seconds, without a restart
  tests/cluster/kubectl delete pod monitoring-relay-0         it comes back, and nothing is lost
  tests/cluster/enter curl --cacert .demo/cluster-ca.crt $relay -d '{"hello": "world"}'
  docs/operations.md                                          what to look at, what to do when
  tests/cluster/kubectl delete -f examples/cluster.yaml       end the two
  make cluster-down                                           end the cluster, and leave nothing behind
END
