# A real Kubernetes for tests: see docs/development.md, "The cluster".
# CLUSTER, TIER and KUBERNETES_VERSION choose which; VISNYK_CACHE says where.

CLUSTER ?= visnyk
TIER ?= node
KUBERNETES_VERSION ?=
export CLUSTER TIER KUBERNETES_VERSION

CLUSTER_FOLDER := $(dir $(lastword $(MAKEFILE_LIST)))
OLDER_KUBERNETES := $(notdir $(wildcard $(CLUSTER_FOLDER)versions/*))

.PHONY: cluster-up cluster-down cluster-status images test-cluster test-versions

cluster-up: ## start a Kubernetes, or repair the one that runs
	@$(CLUSTER_FOLDER)run up

cluster-down: ## end it and leave nothing behind
	@$(CLUSTER_FOLDER)run down

cluster-status: ## show its programs
	@$(CLUSTER_FOLDER)run status

images: ## build the images of all binaries and load them into the cluster
	@$(CLUSTER_FOLDER)images

test-cluster: ## test the cluster itself, in both tiers
	@$(CLUSTER_FOLDER)test

test-versions: ## the same on the default and on the older Kubernetes
	@$(CLUSTER_FOLDER)test
	@for version in $(OLDER_KUBERNETES); do \
		KUBERNETES_VERSION=$$version $(CLUSTER_FOLDER)test || exit 1; done
