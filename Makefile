# Each target makes .venv and builds the compiled core first, as far as they are not there yet.
PYTHON ?= python3
VENV := .venv
SAN_TESTS := $(addprefix tests/unit/,test_dispatch* test_book.py test_legs.py test_journal.py test_columns.py test_fixed.py)
BIN := $(VENV)/bin
CORE := $(wildcard ext/*.pyx ext/*.pxd ext/*.h) setup.py pyproject.toml

.PHONY: help build test peers check format demo record bench chaos soak fuzz san clean lock

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tapehead needs Python 3.11 or newer, was " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

$(VENV)/.built: $(VENV)/.installed $(CORE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

build: $(VENV)/.built  ## make .venv and compile the core in place

demo: build  ## simulator -> capture -> spool -> embedded ClickHouse, then a report; needs no network, key or database
	$(BIN)/tapehead demo

test: build  ## the whole test suite, on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile

.venv-peers/.installed: tests/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

peers: build .venv-peers/.installed  ## open exports in hftbacktest and NautilusTrader, trade with ccxt, in .venv-peers
	$(BIN)/python -m pytest tests/peers

check: build  ## format, lint, types, stubs: everything but the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.support.stubs

format: build  ## rewrite the sources in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: build  ## every benchmark, one after the other
	$(BIN)/python -m benchmarks book
	$(BIN)/python -m benchmarks wire
	$(BIN)/python -m benchmarks load
	$(BIN)/python -m benchmarks space
	$(BIN)/python -m benchmarks journal
	$(BIN)/python -m benchmarks venue
	$(BIN)/python -m benchmarks tick_to_order

chaos: build  ## every fault of docs/guarantees.md, 20 seeds each; 500 kills of a recorder; 1,000 orders in trouble
	$(BIN)/tapehead chaos --json
	$(BIN)/python -m tests.kills --rounds 500 --json
	$(BIN)/python -m tests.orders_chaos --json

soak: build  ## a hundred thousand faults, ten million clean frames, a thousand reconnections; MINUTES (60) of recording
	$(BIN)/python -m chaos
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),60) --json

fuzz: build  ## mutated frames, answers and spools for SECONDS (120)
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),120)

record: build  ## record BTCUSDT (linear) from mainnet into ./data until Ctrl-C
	$(BIN)/tapehead record --category linear BTCUSDT --data data

san: build  ## property and core tests on a core built with address and undefined-behaviour sanitizers
	rm -rf build/san && mkdir -p build/san && git ls-files -z | xargs -0 cp --parents --no-dereference -t build/san
	cd build/san && TAPEHEAD_SANITIZE=1 ../../$(BIN)/python setup.py --quiet build_ext --inplace
	cd build/san && ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libstdc++.so)" \
		../../$(BIN)/python -m pytest tests/property $(SAN_TESTS)

lock:  ## compute requirements.txt and that of the peers anew
	$(PYTHON) -m pip install --quiet uv
	uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes --no-annotate --no-header --quiet --output-file requirements.txt pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet --output-file tests/peers/requirements.txt tests/peers/requirements.in

clean:  ## remove what was built (keeps .venv)
	rm -rf build *.egg-info ext/*.c ext/*.so ext/*.html $(VENV)/.built
