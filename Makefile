# The commands of this repository: `make help` lists them.
# Each does its own set-up, once: what is done leaves a stamp, and is done again when a file that
# it depends on has changed. Everything lands inside this folder.

PYTHON ?= python3
CARGO ?= cargo
NPM ?= npm

# uv would trust its own list of certificates alone, and fail where the machine has one of its own.
export UV_SYSTEM_CERTS := true

BIN := .venv/bin
# maturin is started by name.
export PATH := $(abspath $(BIN)):$(PATH)
STAMPS := .venv/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust/core rust/media rust/netem rust/plane rust/py -type f -not -path '*/tests/*')
PAGE_SOURCES := $(shell find frontend \( -name node_modules -o -name __pycache__ -o -path frontend/client/dist \
	-o -path frontend/client/LICENSE \) -prune -o -type f -print)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# One environment, one node_modules, one target folder: the steps take turns.
.NOTPARALLEL:

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---------------------------------------------------------------------------------- the commands

.PHONY: demo
demo: $(STAMPS)/package ## talk to it: starts demo/talk.py and prints the page's address
	$(BIN)/python demo/talk.py

# Browsers play, and must not stutter. The tests behind them wait for real time and leave most of the
# processor free: the others run beside them, and give way.
IN_BROWSERS := tests/browser tests/guide
IN_REAL_TIME := tests/integration tests/conformance
SYSTEM := chromium firefox coturn gstreamer networks

.PHONY: test
test: frontend/node_modules/.dev $(STAMPS)/dev $(STAMPS)/package $(SYSTEM) ## run every test
	mkdir -p build
	failed=0; $(BIN)/python -m pytest $(IN_BROWSERS) || failed=1; \
	nice -n 19 $(MAKE) --no-print-directory test-at-once >build/test-at-once.log 2>&1 & at_once=$$!; \
	$(BIN)/python -m pytest $(IN_REAL_TIME) || failed=1; \
	wait $$at_once || failed=1; cat build/test-at-once.log; exit $$failed

.PHONY: test-at-once
test-at-once: test-rust test-page
	$(BIN)/python -m pytest $(addprefix --ignore=,$(IN_BROWSERS) $(IN_REAL_TIME))

.PHONY: test-rust
test-rust: $(STAMPS)/packages
	$(CARGO) test --workspace --locked

.PHONY: test-page
test-page: frontend/node_modules/.dev
	$(NPM) --prefix frontend test

.PHONY: test-python
test-python: frontend/node_modules/.dev $(STAMPS)/dev $(STAMPS)/package $(SYSTEM)
	$(BIN)/python -m pytest

SECONDS_OF_SOAK ?= 3600
SOAK_OPTIONS ?=

.PHONY: soak
soak: $(STAMPS)/dev $(STAMPS)/package ## calls of all kinds come and go for an hour, and must leave nothing behind
	$(BIN)/python tests/soak/soak.py --seconds $(SECONDS_OF_SOAK) $(SOAK_OPTIONS)

.PHONY: connects
connects: $(STAMPS)/dev $(STAMPS)/package ## a thousand calls connect and hang up, and must leave nothing behind
	$(BIN)/python tests/soak/connects.py

# Of audio over each transport.
SECONDS ?= 60

.PHONY: transports
transports: $(STAMPS)/dev $(STAMPS)/package ## a call over each transport: all of the audio, barge-in, limits, who vanishes, a server that stops
	$(BIN)/python tests/soak/transports.py --seconds $(SECONDS)

.PHONY: attacks
attacks: $(STAMPS)/dev $(STAMPS)/package ## attack a server, and measure another user's echo beside each attack
	$(BIN)/python tests/soak/attacks.py

.PHONY: check
check: frontend/node_modules/.dev $(STAMPS)/dev $(STAMPS)/package rust-components ## lint, types and layers, before review has to
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) fmt --manifest-path benches/Cargo.toml --check
	$(CARGO) clippy --manifest-path benches/Cargo.toml --all-targets --locked -- -D warnings
	$(CARGO) fmt --manifest-path rust/fuzz/Cargo.toml --check
	$(CARGO) clippy --manifest-path rust/fuzz/Cargo.toml --all-targets --locked -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/contract/test_stubs.py
	$(BIN)/lint-imports
	$(NPM) --prefix frontend run check
	$(MAKE) --no-print-directory deny instructions

# Each is a workspace with a lock file of its own.
WORKSPACES := Cargo.toml benches/Cargo.toml rust/fuzz/Cargo.toml
DENY = for manifest in $(WORKSPACES); do \
	$(BIN)/cargo-deny --manifest-path $$manifest --config deny.toml --locked check $(1) || exit 1; done

.PHONY: deny
deny: $(STAMPS)/deny ## licences, doubles and origins of all crates, as deny.toml allows them
	$(call DENY,licenses bans sources)

.PHONY: deny-advisories
deny-advisories: $(STAMPS)/deny ## look up known faults of our crates in RustSec's list; needs the internet
	$(call DENY,advisories)

# How long each target runs, in seconds: an hour, or the few that CI has.
FUZZ_SECONDS ?= 3600

.PHONY: fuzz
fuzz: fuzz-rust fuzz-python ## hand any bytes to everything that takes some, for an hour each

.PHONY: fuzz-rust
fuzz-rust:
	$(CARGO) run --release --locked --manifest-path rust/fuzz/Cargo.toml -- $(FUZZ_SECONDS)

# Rounds of other inputs each, until the time is over; `make test` runs a short one, which is the same
# each time, and CI a long one (HYPOTHESIS_PROFILE=many).
HYPOTHESIS_PROFILE ?= long
.PHONY: fuzz-python
fuzz-python: $(STAMPS)/dev $(STAMPS)/package
	end=$$(($$(date +%s) + $(FUZZ_SECONDS))); while [ $$(date +%s) -lt $$end ]; do \
		HYPOTHESIS_PROFILE=$(HYPOTHESIS_PROFILE) $(BIN)/python -m pytest -q --timeout 3600 \
			$(wildcard tests/unit/*/test_fuzz_*.py) tests/unit/test_messages.py tests/unit/transport/test_offer.py || exit 1; done

# Not --quiet: mkdocs would not count the warnings then, which --strict makes errors.
.PHONY: reference
reference: $(STAMPS)/dev $(STAMPS)/docs ## build the documentation, with the API reference, into build/reference
	$(BIN)/mkdocs build --strict

.PHONY: notice
notice: frontend/node_modules/.dev ## write the licences of all that the wheel carries into NOTICE
	$(BIN)/python frontend/notice.py

.PHONY: instructions
instructions: $(STAMPS)/dev $(STAMPS)/package valgrind ## count the core's instructions and our Python calls per packet, and fail when there are more than recorded
	$(BIN)/python benches/python/instructions.py
	$(BIN)/python benches/python/python_calls.py

.PHONY: instructions-record
instructions-record: $(STAMPS)/dev $(STAMPS)/package valgrind ## record both counts
	$(BIN)/python benches/python/instructions.py --record
	$(BIN)/python benches/python/python_calls.py --record

# Each also runs alone: .venv/bin/python benches/python/kernels.py
BENCHES := turns smart_turn inbound kernels footprint idle replies calls

.PHONY: bench
bench: $(STAMPS)/dev $(STAMPS)/package ## measure, beside the peers that are installed: a table and two plots
	$(UV) --group bench
	@rm -f $(BENCHES:%=benches/results/%.json); failed=; \
	for bench in $(BENCHES); do $(BIN)/python benches/python/$$bench.py || failed="$$failed $$bench"; done; \
	$(BIN)/python benches/python/table.py || failed="$$failed table"; test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

# Such as --rows loss10,one-loss --runs 1 --stacks ours.
NETWORK_OPTIONS ?= --runs 3

.PHONY: bench-network
bench-network: $(STAMPS)/dev $(STAMPS)/package ## measure an echo through a bad network, fault by fault, beside the peers that are installed
	$(UV) --group bench
	$(BIN)/python benches/python/network.py $(NETWORK_OPTIONS)
	$(BIN)/python benches/python/table.py

# Such as --loss 10 --ways both --delay 25 --runs 1 --stacks ours.
VIDEO_NETWORK_OPTIONS ?= --runs 3

.PHONY: bench-video-network
bench-video-network: $(STAMPS)/dev $(STAMPS)/package ## measure video through a lossy network, beside the peers that are installed
	$(UV) --group bench
	$(BIN)/python benches/python/video_network.py $(VIDEO_NETWORK_OPTIONS)

.PHONY: bench-rust
bench-rust: ## time the core's kernels on each instruction set
	CARGO_TARGET_DIR=target/benches $(CARGO) bench --locked --manifest-path benches/Cargo.toml

.PHONY: bench-peers
bench-peers: $(STAMPS)/packages ## install what make bench measures us beside, each into an environment of its own
	$(BIN)/python benches/python/peers.py

.PHONY: bench-conversations
bench-conversations: $(STAMPS)/dev $(STAMPS)/package ## speak the conversational test set, which make bench then measures turns on too
	$(call debian,command -v flite,flite,benches/python/conversations.py)
	$(BIN)/python benches/python/conversations.py

.PHONY: format
format: $(STAMPS)/dev rust-components ## format Rust and Python, and let ruff mend what it can
	$(CARGO) fmt --all
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: build
build: $(STAMPS)/package ## set up everything that the demo needs

.PHONY: wheel
wheel: $(STAMPS)/packages ## build the wheel into dist/
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

.PHONY: lock
lock: $(STAMPS)/packages ## bring constraints.txt up to date with the registry
	$(BIN)/uv pip compile --quiet --universal --upgrade --no-annotate --no-emit-index-url \
		--custom-compile-command 'make lock' --python-version 3.11 \
		--all-extras --group dev --group bench --group docs --group deny pyproject.toml --output-file constraints.txt

.PHONY: clean
clean: ## remove what was built and set up
	rm -rf .venv target dist frontend/node_modules python/gradio_webrtc/templates
	rm -rf frontend/client/dist frontend/client/LICENSE demo/react/dist demo/react/node_modules
	rm -f python/gradio_webrtc/_core.*.so

# ------------------------------------------------------------------------------------ the set-up

# The environment: what the package needs, what the demo needs, what a build needs.
$(STAMPS)/packages: pyproject.toml constraints.txt
	@$(PYTHON) frontend/build_page.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --quiet --constraint constraints.txt uv
	$(UV) --requirements pyproject.toml --extra talk --extra websocket --group build
	@mkdir -p $(STAMPS) && touch $@

# The same for working on it: linters and test tools.
$(STAMPS)/dev: $(STAMPS)/packages
	$(UV) --group dev
	@touch $@

$(STAMPS)/docs: $(STAMPS)/packages
	$(UV) --group docs
	@touch $@

$(STAMPS)/deny: $(STAMPS)/packages
	$(UV) --group deny
	@touch $@

# The package itself, in place: Python is used from here, Rust and the page are built if changed.
$(STAMPS)/package: $(STAMPS)/packages $(RUST_SOURCES) $(PAGE_SOURCES)
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# npm with the test tools. A build for the package alone leaves them out, and this stamp with them.
frontend/node_modules/.dev: frontend/package-lock.json $(STAMPS)/packages
	$(NPM) --prefix frontend ci --no-audit --no-fund
	@touch $@

.PHONY: rust-components
rust-components:
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 || \
	if command -v rustup >/dev/null; then rustup component add rustfmt clippy; else \
		echo "rustfmt and clippy are needed: install the packages of your Rust that hold them" >&2; \
		exit 1; \
	fi

# $(call debian,check,packages,what for,then): installs what is missing, if that is possible.
define debian
	@if $(1) >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(2)$(if $(4), && $(4)); \
	else \
		echo "$(3) needs more packages: sudo apt-get install $(2)" >&2; exit 1; \
	fi
endef

# The count is a help and no requirement: where valgrind cannot be installed, nothing is counted.
.PHONY: valgrind
valgrind:
	@command -v valgrind >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
		apt-get install -qq --no-install-recommends valgrind; } >/dev/null 2>&1 || true

.PHONY: chromium
chromium:
	$(call debian,command -v chromium,chromium,tests/browser)

# PulseAudio's package starts a server for each user who logs in; the tests start their own.
.PHONY: firefox
firefox:
	$(call debian,which firefox-esr pulseaudio,firefox-esr pulseaudio,tests/browser/test_firefox.py)

.PHONY: gstreamer
gstreamer:
	$(call debian,/usr/bin/python3 tests/support/gstreamer_client.py --check,$(GSTREAMER),tests/integration/test_gstreamer.py)
GSTREAMER := python3-gi gir1.2-gst-plugins-base-1.0 gir1.2-gst-plugins-bad-1.0 \
	gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-nice

# The package starts a server for everybody, at boot too; the tests start their own.
.PHONY: coturn
coturn:
	$(call debian,command -v turnserver,coturn,tests/integration/test_turn.py,$(STOP_COTURN))
STOP_COTURN := if [ -d /run/systemd/system ]; then systemctl --quiet disable --now coturn; fi

# nginx's package starts a server for everybody too.
.PHONY: networks
networks:
	$(call debian,$(HAS_NETWORKS),iproute2 nftables nginx-light,tests/support/networks.py,$(STOP_NGINX))
HAS_NETWORKS := PATH=$$PATH:/usr/sbin:/sbin which ip nft nginx
STOP_NGINX := if [ -d /run/systemd/system ]; then systemctl --quiet disable --now nginx; fi
