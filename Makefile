# Everything a developer or CI runs. `make help` lists it.

.DEFAULT_GOAL := help
.PHONY: help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

include tests/cluster/cluster.mk
