# What one does with Mobinet. Needs Python 3.11 or newer, git and make; everything else is fetched.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help run test gateways peers crash soak bench load demo picture check schema test-external lock clean

# What Python has compiled once it need not compile at each start: `make run` takes half as long with it.
unexport PYTHONDONTWRITEBYTECODE

BIN       := .venv/bin
INSTALLED := .venv/.installed
DEMO      ?= tests.demo.demo

PYTEST    := $(BIN)/pytest -n 2 --dist loadfile

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(INSTALLED)  ## Start everything: servers, sandbox, API, worker. Ctrl-C stops it, the data stays
	@exec $(BIN)/mobinet run

test: $(INSTALLED)  ## All tests, on embedded servers
	@env -u MOBINET_DATABASE_URL -u MOBINET_DATABASE_OWNER_URL -u MOBINET_REDIS_URL $(PYTEST) $(ARGS)

test-external: $(INSTALLED)  ## The same on the servers that MOBINET_DATABASE_URL and MOBINET_REDIS_URL name
	@: $${MOBINET_DATABASE_URL:?set it to a PostgreSQL where databases may be created} \
	   $${MOBINET_REDIS_URL:?set it to a Redis that has empty logical databases}
	@$(PYTEST) $(ARGS)

GATEWAYS := tests/api/webhooks/test_gateway_calls.py tests/api/webhooks/test_amount_notations.py tests/api/webhooks/test_unreadable_foreign_calls.py tests/unit/integrations
gateways: $(INSTALLED)  ## The table gateways × cases: what is tested of each, and why not where it is not
	@env -u MOBINET_DATABASE_URL -u MOBINET_DATABASE_OWNER_URL -u MOBINET_REDIS_URL $(BIN)/pytest -q -p tests.support.gateways.table -m case $(GATEWAYS) $(ARGS)

# Others' spelling of the protocols; without npm, or where it finds no registry, those that it has are all that are asked.
PEERS := tests/unit/integrations/vnpay/test_peer.py tests/unit/integrations/stripe/test_localstripe.py tests/unit/schema/test_websocket_peer.py
peers: $(INSTALLED)  ## Ask others who speak our protocols whether they agree: localstripe, and npm's vnpay and graphql-ws
	@for peer in vnpay graphql-ws; do \
		(cd tests/peers/$$peer && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || echo "npm could not fetch $$peer: it is not asked."; \
	done
	@env -u MOBINET_DATABASE_URL -u MOBINET_DATABASE_OWNER_URL -u MOBINET_REDIS_URL $(BIN)/pytest -q $(PEERS) $(ARGS)

crash: $(INSTALLED)  ## Kill a process at every step of every flow, interleave every pair, and see that no money is lost
	@env -u MOBINET_DATABASE_URL -u MOBINET_DATABASE_OWNER_URL -u MOBINET_REDIS_URL PROOF=all $(BIN)/pytest -s tests/crash tests/races tests/schedules $(ARGS)

soak: $(INSTALLED)  ## Ten minutes of load with faults and a dying worker, then everything must agree; `make soak SECONDS=60` is shorter
	@exec $(BIN)/python -m tests.soak $(SECONDS)

bench: $(INSTALLED)  ## How fast it is beside commit 14d14ad and others; `make bench ARGS="--rows reads,cash --rounds 3"` measures less
	@exec $(BIN)/python -m benchmarks $(ARGS)

load: $(INSTALLED)  ## Visits that arrive at a rate, faults on, then every payment is checked; `make load ARGS="--per-minute 3000 --minutes 10"`
	@exec $(BIN)/python -m benchmarks.load $(ARGS)

demo: $(INSTALLED)  ## A payment from login to receipt, told as a story
	@exec $(BIN)/python -m $(DEMO)

picture: $(INSTALLED)  ## The demo, drawn into docs/demo.svg
	@exec $(BIN)/python -m tests.demo.picture

check: $(INSTALLED)  ## Format, lint, import contracts, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/basedpyright

schema: $(INSTALLED)  ## Print the API's schema into schema/schema.graphql
	@$(BIN)/mobinet schema > schema/schema.graphql

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11
lock: $(INSTALLED)  ## Choose versions of what we depend on; `make lock ARGS=--upgrade` chooses the newest
	$(COMPILE) $(ARGS) --all-extras pyproject.toml -o requirements/dev.lock
	$(COMPILE) -c requirements/dev.lock pyproject.toml -o requirements/run.lock
	$(COMPILE) -c requirements/dev.lock requirements/build.in -o requirements/build.lock
	$(COMPILE) -c requirements/dev.lock requirements/installer.in -o requirements/installer.lock

clean:  ## Remove the environment and the data
	rm -rf .venv .data tests/peers/*/node_modules

# The lock is whole, so nothing is to be resolved.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
UV  := $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps

# The environment: made once, and again when the lock changes.
$(INSTALLED): requirements/dev.lock pyproject.toml
	@python=; for each in python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$each; break; fi; \
	done; \
	test -n "$$python" || { echo "Python 3.11 or newer is needed, and none was found on the PATH."; exit 1; }; \
	$(BIN)/python -c '' 2>/dev/null || { \
		rm -rf .venv; \
		$$python -m venv .venv || { echo "Its module venv is needed too (Debian: apt install python3-venv)."; exit 1; }; \
	}
	@# uv installs in seconds what takes pip most of a minute; pip does it where uv does not run or finds no index.
	@echo "Installing what is not there yet."
	@$(PIP) --require-hashes -r requirements/installer.lock && \
		$(UV) --require-hashes -r requirements/dev.lock && $(UV) --no-build-isolation -e . || { \
		echo "uv could not; pip is slower."; \
		$(PIP) --no-compile --require-hashes -r requirements/dev.lock && $(PIP) --no-build-isolation -e .; }
	@touch $@
