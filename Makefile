# `make help` lists what can be done. Everything runs in .venv, which is made on first use.
PYTHON ?= $(firstword $(shell command -v python3.11 python3))
UV ?= uv
T ?= tests
# On two cores: while some tests compute, others wait for what they have started.
WORKERS ?= 3
CALLS ?= 1000000
BIN := .venv/bin
INSTALLED := .venv/.installed
NODE_MODULES := $(if $(shell command -v npm),docs/examples/node_modules/.package-lock.json)

.DEFAULT_GOAL := help
.PHONY: help install demo run test test-stock test-postgresql upstreams test-upstreams programs test-programs prove bench bench-peers growth check lint types format screenshots wheel lock clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Broker needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(INSTALLED) ## Install Broker and its tools into .venv, as locked

demo: $(INSTALLED) ## Start the broker, a sandbox provider and a demo app; Ctrl-C ends all
	@exec $(BIN)/broker demo

run: $(INSTALLED) ## Serve for real, with the settings of .env
	@exec $(BIN)/broker serve

docs/examples/node_modules/.package-lock.json: docs/examples/package-lock.json
	@npm ci --silent --prefix docs/examples && touch $@ || echo "npm could not install: the tests with openid-client and oauth4webapi will be skipped"

test: $(INSTALLED) $(NODE_MODULES) ## Run the tests (T=tests/core for some of them)
	@$(if $(NODE_MODULES),:,echo "no npm here: the tests with openid-client and oauth4webapi will be skipped")
	$(BIN)/python -m pytest -n $(WORKERS) $(T)

test-stock: $(INSTALLED) $(NODE_MODULES) ## Run the tests on hypercorn's own reader of HTTP/1.1 (T=tests/sdk for some of them)
	BROKER_HTTP_PARSER=h11 $(BIN)/python -m pytest -n $(WORKERS) $(T)

test-postgresql: $(INSTALLED) ## Run the tests of pages, proxy and rights with their database on PostgreSQL
	TEST_PAGES_ON=postgresql $(BIN)/python -m pytest -n 2 tests/consent tests/web tests/web_grants tests/proxy tests/device tests/rights

UPSTREAMS := build/upstreams/.installed
$(UPSTREAMS): tests/upstreams/requirements.lock tests/upstreams/package-lock.json
	$(PYTHON) -m venv build/upstreams/venv
	build/upstreams/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/upstreams/requirements.lock
	cp tests/upstreams/package.json tests/upstreams/package-lock.json tests/upstreams/.npmrc build/upstreams/
	if command -v npm >/dev/null; then npm ci --silent --prefix build/upstreams; else echo "no npm here: the tests with aimock and the SDKs in JavaScript will be skipped"; fi
	@touch $@

upstreams: $(UPSTREAMS) ## Install providers and SDKs that others wrote into build/upstreams: make test then uses them, too

test-upstreams: $(INSTALLED) $(UPSTREAMS) ## Run the tests with them: llama.cpp's server and a real model, llmock, aimock (half a gigabyte)
	$(BIN)/python -m pytest -n 2 tests/upstreams

PROGRAMS := build/programs/.installed
$(PROGRAMS): tests/programs/requirements.lock tests/programs/package-lock.json
	$(PYTHON) -m venv build/programs/venv
	build/programs/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/programs/requirements.lock
	cp tests/programs/package.json tests/programs/package-lock.json tests/programs/.npmrc build/programs/
	if command -v npm >/dev/null; then npm ci --silent --prefix build/programs; else echo "no npm here: the test with the AI SDK will be skipped"; fi
	@touch $@

programs: $(PROGRAMS) ## Install LangChain, LiteLLM and the AI SDK into build/programs: make test then uses them, too

test-programs: $(INSTALLED) $(PROGRAMS) ## Run the tests with them (half a gigabyte)
	$(BIN)/python -m pytest -n 2 tests/programs

prove: $(INSTALLED) ## Prove the books at length: 50 seeds of overspending, 50 of the books' machine, 8 rounds of kills, the promised seconds
	PROOF=1 PROOF_SEEDS=50 PROOF_ROUNDS=8 $(BIN)/python -m pytest -n 0 tests/races tests/books/test_machine.py tests/oauth/test_never_more.py tests/proxy/test_cut.py tests/rights/test_revoked.py tests/journey/test_demo.py

bench: $(INSTALLED) ## Measure Broker beside others, and print the table (QUICK=1, PART="compare grants ledger streams start rest disk limits writes")
	$(BIN)/python -m tests.bench $(if $(QUICK),--quick) $(if $(CHECK),--check) $(if $(SHOW),--show) $(PART)

# Those that the tables of docs/explanation/performance.md are of.
LITELLM := 1.108.7
PORTKEY := 1.15.2

bench-peers: ## Install what Broker is measured beside: LiteLLM and Portkey into build/bench, nginx where we are root
	$(PYTHON) -m venv build/bench/litellm
	build/bench/litellm/bin/pip install --quiet --disable-pip-version-check 'litellm[proxy]==$(LITELLM)'
	if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix build/bench/portkey @portkey-ai/gateway@$(PORTKEY); else echo "no npm here: without Portkey"; fi
	if command -v nginx >/dev/null; then :; elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then RUNLEVEL=1 apt-get install -y --no-install-recommends nginx; else echo "no nginx here, and we are not root: without it"; fi

growth: $(INSTALLED) ## Time every page on books of a million calls (CALLS=10000000 for more)
	GROWTH=$(CALLS) $(BIN)/python -m pytest -n 0 -s tests/growth

check: lint types test ## Lint, types and tests: what CI runs

lint: $(INSTALLED) ## Look for mistakes and odd formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED) ## Check the types
	$(BIN)/mypy

format: $(INSTALLED) ## Format the code, and mend what can be mended by itself
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

screenshots: $(INSTALLED) ## Take the pictures in docs/images anew (needs chromium)
	TAKE_SCREENSHOTS=1 $(BIN)/python -m pytest -q tests/journey/test_demo.py

wheel: $(INSTALLED) ## Build a wheel into dist/
	$(BIN)/hatchling build -t wheel

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-strip-extras
lock: ## Lock the newest versions that pyproject.toml allows (needs uv)
	$(COMPILE) --upgrade --extra build --extra postgres pyproject.toml -o requirements.lock
	$(COMPILE) --upgrade --extra build --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(COMPILE) --upgrade --override tests/upstreams/overrides.txt tests/upstreams/requirements.in -o tests/upstreams/requirements.lock
	$(COMPILE) --upgrade tests/programs/requirements.in -o tests/programs/requirements.lock

clean: ## Remove what was built and installed here; data/ stays
	rm -rf .venv dist build docs/examples/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find broker tests -name __pycache__ -type d -prune -exec rm -rf {} +
