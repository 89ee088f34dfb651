#!/usr/bin/env bash
# A relay and the collector it delivers to, on this machine's loopback address alone.
#   scripts/demo.sh        builds and starts both, sends examples/events, shows where they arrive
#   scripts/demo.sh stop   stops both; what they keep stays in .demo/
set -euo pipefail
cd "$(dirname "$0")/.."

readonly demo=.demo address=127.0.0.1
readonly relay=https://$address:8443 collector=https://$address:18443
readonly relay_health=$address:9443 collector_health=$address:9080
readonly log=$demo/collector/webhook.log

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

fail() {
  printf '\ndemo: %s\n' "$*" >&2
  exit 1
}

# The process that an earlier run recorded, if it still is one of ours.
recorded() {
  local pid
  pid=$(cat "$demo/$1.pid" 2>/dev/null) || return 1
  [[ $(cat "/proc/$pid/comm" 2>/dev/null || ps -o comm= -p "$pid" 2>/dev/null) == *visnyk-"${1:0:8}"* ]] || return 1
  echo "$pid"
}

stop() {
  local pid
  if pid=$(recorded "$1"); then
    kill "$pid" 2>/dev/null || true
    for _ in {1..200}; do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.05
    done
  fi
  rm -f "$demo/$1.pid"
}

start() {
  local name=$1 health=$2
  shift 2
  mkdir -p "$demo/$name"
  nohup "$demo/bin/visnyk-$name" run --manifest examples/quickstart.yaml --data-dir "$demo/$name" \
    --address "$address" --health "$health" --drain-grace 0 "$@" </dev/null >"$demo/$name.out" 2>&1 &
  echo $! >"$demo/$name.pid"
  for _ in {1..200}; do
    curl -fs "$health/readyz" >/dev/null && return
    recorded "$name" >/dev/null || break
    sleep 0.05
  done
  tail -n 5 "$demo/$name.out" >&2
  fail "the $name did not get ready; its log is $demo/$name.out"
}

# Whether the relay's status has no pending event left.
nothing_pending() {
  local status pending='"pending": *[1-9]'
  status=$(curl -fs "$relay_health/status") || return 1
  [[ ! $status =~ $pending ]]
}

if [[ ${1:-} == stop ]]; then
  stop relay
  stop collector
  echo "Stopped. What they keep is in $demo/; remove it to begin anew."
  exit
fi
[[ $# == 0 ]] || fail "usage: $0 [stop]"
command -v curl >/dev/null || fail "curl is needed to send events"

say "Building (a few minutes the first time)"
cargo build --bins --package visnyk-relay --package visnyk-collector
mkdir -p "$demo"
ln -sfn "../target/$(rustc --print host-tuple)/debug" "$demo/bin"
stop relay
stop collector

say "Starting a collector and a relay from examples/quickstart.yaml"
start collector "$collector_health"
# What the operator does on a cluster: tell the relay where the collector is and whom to trust.
mkdir -p "$demo/peers"
cp "$demo/collector/tls/ca.crt" "$demo/peers/default.archive.ca.crt"
printf '%s/' "$collector" >"$demo/peers/default.archive.url"
start relay "$relay_health" --peers-dir "$demo/peers"
echo "  $relay  ->  $collector  ->  $log"

touch "$log"
before=$(wc -l <"$log")
say "Sending examples/events to the relay; it answers once each is on disk"
for event in examples/events/*; do
  answer=$(curl -sS --fail-with-body --cacert "$demo/relay/tls/ca.crt" -w '  visnyk-id %header{visnyk-id}' \
    -H 'Content-Type: application/json' --data-binary "@$event" "$relay/")
  echo "  $(basename "$event"): ${answer//$'\n'/}"
done

for _ in {1..200}; do
  nothing_pending && break
  sleep 0.05
done
nothing_pending || fail "events are still pending; see $demo/relay.out"

say "What arrived in $log: each as the old system's line, and as it came"
tail -n "+$((before + 1))" "$log" | cut -c "1-$(($(tput cols 2>/dev/null || echo 100) - 4))" | sed 's/^/  /'

say "Nothing vanishes: accepted = delivered + dead-lettered + dropped + damaged + pending"
$demo/bin/visnyk-relay status --data-dir "$demo/relay" | sed 's/^/  /'

say "Where to look next"
cat <<END
  curl --cacert $demo/relay/tls/ca.crt $relay/ -d '{"hello": "world"}'   send your own
  curl $relay_health/status     the numbers; also /metrics, /readyz, /livez
  $demo/bin/visnyk-relay dead-letters list --data-dir $demo/relay
  examples/quickstart.yaml      the manifest; change it while they run
  docs/guarantees.md            what is promised, and what is not
  make demo-stop                stop both
END
