SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install lint fuzz test test-unit test-process test-integration test-clients test-e2e bench bench-serving bench-monitor soak demo demo-down cluster-up cluster-down kubeconfig images generate lock

VENV := .venv
PYTHON := $(VENV)/bin/python
CLUSTER := $(PYTHON) hack/cluster
COMPILED := $(PYTHON) hack/compiled >/dev/null
INSTALLED := $(VENV)/.installed
IN_CLUSTER := eval "$$($(CLUSTER) env)" &&
TESTS := $(VENV)/bin/pytest -q
WORKERS := -n auto --dist worksteal --maxprocesses

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv with the podium command and all tools in it

$(INSTALLED): requirements/dev.txt pyproject.toml hack/install.sh
	@bash hack/install.sh $(VENV)
	@touch $@

lint: install ## Format, lint, types and import contracts, without changing a file
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy crds/podium_crds evaluation/podium_evaluation pages/podium_pages serving/podium_serving operator/podium_operator monitor/podium_monitor cli/podium_cli charts hack tests
	$(VENV)/bin/lint-imports

test: install ## Everything: lint and the rings of tests, two at a time; ends with one line for each (root)
	-$(CLUSTER) packages
	-$(CLUSTER) build >/dev/null
	$(COMPILED)
	bash hack/test.sh "test-process test-integration test-clients" "lint test-unit test-e2e"

test-unit: install ## Pure code: a minute or two, needs nothing
	$(TESTS) tests/unit -m "not process" $(WORKERS) 8

test-process: install ## One part at a time: its real servers and processes, on this machine
	$(COMPILED)
	$(TESTS) tests/unit -m process $(WORKERS) 8

test-integration: install ## A real API server without nodes, and real serving processes (root)
	$(CLUSTER) packages
	$(COMPILED)
	$(TESTS) tests/integration $(WORKERS) 4

test-clients: install ## Stock clients in venvs of their own, against a server of this machine; transcripts in .build/clients
	$(TESTS) tests/clients

test-e2e: cluster-up images ## The story on a real node, under load (root)
	$(IN_CLUSTER) $(TESTS) tests/e2e -n 2

bench: cluster-up images ## Measure what the documents claim: hot swap under load, fifty deployments on one node
	$(IN_CLUSTER) PYTHONPATH=hack:tests $(PYTHON) tests/bench/hot_swap.py
	$(IN_CLUSTER) PYTHONPATH=hack:tests $(PYTHON) tests/bench/fifty.py

fuzz: install ## Send damaged HTTP requests and gRPC calls to a server of this machine; COUNT=100000 SEED=0
	PYTHONPATH=hack:tests $(PYTHON) -m fuzz --count $(or $(COUNT),100000) --seed $(or $(SEED),0)

bench-serving: install ## The serving process beside its peers and limits, in one run; ARGS="--only http1 --quick"
	PYTHONPATH=hack:tests $(PYTHON) -m bench.serving $(ARGS)

bench-monitor: install ## The monitor beside naive implementations of the same answers; ARGS="--only ingest --quick"
	PYTHONPATH=hack:tests $(PYTHON) -m bench.monitor $(ARGS)

soak: install ## Ten minutes of load with hot swaps and a challenger in trouble; SECONDS=60 for less
	PYTHONPATH=hack:tests $(PYTHON) -m bench.serving.soak --seconds $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),600)

demo: install ## From a fitted pipeline to a hot swap under load, on a Kubernetes of this machine's own (root)
	PYTHONPATH=hack $(PYTHON) -m demo up

demo-down: install ## Take the demo out of the cluster; `make cluster-down` removes the rest
	PYTHONPATH=hack $(PYTHON) -m demo down

cluster-up: install ## A real Kubernetes on this machine (root)
	$(CLUSTER) up

cluster-down: install ## Take back everything that cluster-up made
	$(CLUSTER) down

kubeconfig: install ## Print the path of the local cluster's kubeconfig
	@$(CLUSTER) kubeconfig

images: cluster-up ## Build and push the images of the operator, the scoring pods and the monitor
	$(IN_CLUSTER) $(PYTHON) hack/images

generate: install ## Write the CRDs from the types, and the messages of gRPC from their .proto files
	$(PYTHON) -m podium_crds.generate crds charts/podium/files/crds
	$(PYTHON) -m grpc_tools.protoc -Iserving --python_out=serving --pyi_out=serving serving/podium_serving/rpc/*.proto

lock: install ## Pin requirements/*.txt anew from pyproject.toml, by hash and without index addresses
	bash hack/lock.sh $(VENV)
