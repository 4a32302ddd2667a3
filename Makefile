# The front door. `make` alone lists what can be done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= /etc/thermal/thermal.toml
KILLS ?= 6
# The demo's length. Never exported: bash gives SECONDS a meaning of its own.
unexport SECONDS
SECONDS := $(if $(filter command line,$(origin SECONDS)),$(SECONDS),60)
SEEDS ?= 2000
EVENTS ?= 10000000
PORT ?= 18443
STATE ?= .emulator
FAULTS ?=
JOBS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help venv demo test check torture sim soak emulator run-collector run-shipper docs lock clean

help: ## list the targets
	@echo "thermal: air measurements of a Raspberry Pi, exactly once into a Snowflake table"
	@echo
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' \
		| awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'
	@echo
	@echo "Begin with 'make demo': both services, emulated chips and server, kills and a cut network."

# Two stamps: the runtime packages are enough to run, the rest is for development. Each install is
# pinned by hash, also the build tool, so nothing comes from an unlocked place.
$(VENV)/.runtime: requirements-build.lock requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Error: $(PYTHON) is older than 3.11. Try: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
		|| { echo "Error: no virtual environment. Try: sudo apt-get install python3-venv"; exit 1; }
	$(PIP) install --require-hashes -r requirements-build.lock
	$(PIP) install --require-hashes --no-build-isolation --use-pep517 -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(PIP) install --require-hashes --no-build-isolation --use-pep517 -r requirements-dev.lock
	@touch $@

venv: $(VENV)/.dev ## make .venv with everything that is needed here

demo: $(VENV)/.runtime ## the proof in a minute (KILLS=6 SECONDS=60)
	$(BIN)/python -m tests.demo --kills $(KILLS) --seconds $(SECONDS)

test: $(VENV)/.dev ## all tests but the heavy ones, under five minutes
	$(BIN)/python -m pytest -m "not heavy" -n $(JOBS) --dist loadfile

check: $(VENV)/.dev ## style, types, import layers
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

torture: $(VENV)/.runtime ## the test that other agents were put to, their figures beside ours
	$(BIN)/python -m tests.torture

sim: $(VENV)/.dev ## seeded simulation of the shipper (SEEDS=2000)
	$(BIN)/python -m tests.model.simulation --seeds $(SEEDS)

soak: $(VENV)/.dev ## ten million crashes, figures into docs/guarantees.md (EVENTS=10000000)
	$(BIN)/python -m tests.soak --events $(EVENTS)

emulator: $(VENV)/.runtime ## a stand-in for Snowpipe Streaming (PORT=18443 STATE=.emulator FAULTS=)
	$(BIN)/python -m tests.emulators.ingest --port $(PORT) --state $(STATE) $(if $(FAULTS),--faults '$(FAULTS)')

run-collector: $(VENV)/.runtime ## sample for real (CONFIG=/etc/thermal/thermal.toml)
	$(BIN)/thermal-collector run --config $(CONFIG)

run-shipper: $(VENV)/.runtime ## ship for real (CONFIG=/etc/thermal/thermal.toml)
	$(BIN)/thermal-shipper run --config $(CONFIG)

docs: $(VENV)/.dev ## write docs/columns.md and docs/settings.md anew from the code
	$(BIN)/python -m tests.tools.reference_docs

UV = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --no-header

lock: ## pin the newest versions anew (needs uv in .venv)
	echo "setuptools>=77" | $(UV) - -o requirements-build.lock
	$(UV) pyproject.toml -c requirements-build.lock -o requirements.lock
	$(UV) pyproject.toml --group dev -c requirements.lock -c requirements-build.lock \
		-o requirements-dev.lock

clean: ## remove what was made here, also .venv
	rm -rf $(VENV) .demo .emulator .soak .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
