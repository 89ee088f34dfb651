# Everything that people and CI do here begins with make.

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop cluster-demo tools check test lint build test-rust test-chart test-e2e times evidence soak \
	bench bench-operator generate

NEXTEST ?= 0.9.148
CARGO_DENY ?= 0.20.2
CHECKOV ?= 3.3.30
CACHE := $(or $(VISNYK_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/visnyk)
TOOLS := $(CACHE)/tools
export CHECKOV_FOLDER := $(TOOLS)/checkov-$(CHECKOV)
CARGO_BIN := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin
export PATH := $(PATH):$(CARGO_BIN):$(TOOLS)/nextest-$(NEXTEST)/bin:$(TOOLS)/deny-$(CARGO_DENY)/bin
# Notes how long a phase took and how busy the machine was: scripts/times.
TIMED := scripts/times run

help: ## show what there is
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target says; do \
		printf '  make %-16s %s\n' "$$target" "$$says"; done

demo: ## build relay and collector, run them here, and send them events
	@scripts/demo.sh

demo-stop: ## stop what demo started; its data stays in .demo/
	@scripts/demo.sh stop

cluster-demo: ## the same on a Kubernetes of this machine's own, by the operator; `make cluster-down` ends it
	@scripts/cluster-demo.sh

tools: ## install what the tests use and this machine lacks
	@scripts/tools $(TOOLS) nextest=$(NEXTEST) deny=$(CARGO_DENY) checkov=$(CHECKOV)
	@scripts/crates restore

check: tools ## formatting, clippy, and the crates' own fast tests: some two minutes
	cargo fmt --check
	cargo clippy --quiet --workspace --all-targets -- --deny warnings
	cargo nextest run --profile check --workspace --lib --bins

test: ## every test, a real cluster included; prints where the time went
	@scripts/times begin
	@$(TIMED) "install tools, restore crates" $(MAKE) --no-print-directory tools
	@$(MAKE) --no-print-directory lint test-rust test-chart test-cluster test-e2e; status=$$?; \
		scripts/times table; scripts/evidence target/evidence.md; exit $$status

lint: build ## formatting, clippy and rustdoc without a warning, licences and sources of dependencies, names of tests, scripts, words
	cargo fmt --check
	@$(TIMED) "clippy" cargo clippy --quiet --workspace --all-targets -- --deny warnings
	@$(TIMED) "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps
	cargo deny --log-level error check licenses bans sources
	git grep -lE '^#!/(bin/sh|usr/bin/env bash)$$' -- ':!*.md' | xargs shellcheck -x -P SCRIPTDIR
	scripts/check-test-names
	scripts/check-imports
	scripts/check-words
	cargo nextest run --package visnyk-crds --status-level none --final-status-level fail -E 'test(schema::descriptions)'
	@scripts/crates save

build: tools ## the binaries and all tests
	@$(TIMED) "build binaries and tests" cargo nextest run --workspace --no-run

test-rust: export CLUSTER = rust
test-rust: export TIER = control-plane
test-rust: tools ## the tests of the crates, of the binaries, and of the operator on an API server
	@$(TIMED) "start the control plane" tests/cluster/run up
	@$(TIMED) "tests of crates, binaries and operator" cargo nextest run --workspace --no-fail-fast \
		-E 'not (package(visnyk-e2e) + binary(node))'; status=$$?; tests/cluster/run down; exit $$status

test-chart: tools ## helm lint, checkov, what the chart makes and what it refuses
	@$(TIMED) "chart" charts/test

# Ended whatever comes of it; what fails says why.
test-e2e: export CLUSTER = e2e
test-e2e: tools ## the operator, installed by its chart on a node
	@$(TIMED) "start the node" tests/cluster/run up
	@tests/e2e/run; status=$$?; tests/cluster/run down; exit $$status

times: ## write where the time of the last `make test` went to docs/development.md
	@scripts/times write

evidence: ## write what the proofs of the last `make test` saw to docs/evidence/
	@scripts/evidence docs/evidence/$$(date -u +%F).md

soak: tools ## the long form of the proofs, of a release build: hours; PART=3/8 runs a part
	@scripts/soak $(PART)

bench: ## load on loopback, with peers beside it; writes docs/benchmarks.md
	@bench/run

bench-operator: export CLUSTER = bench
bench-operator: export TIER = control-plane
bench-operator: ## the operator with 1,000 resources; writes its table to docs/benchmarks.md
	@tests/cluster/run up
	@bench/run-operator; status=$$?; tests/cluster/run down; exit $$status

generate: ## write the generated files: custom resource definitions and reference
	cargo run --quiet --package visnyk-crds --example generate

include tests/cluster/cluster.mk
