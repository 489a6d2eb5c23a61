# Every command sets up what it needs. PYTHON=python3.12 chooses the interpreter of a new virtual environment.
PYTHON ?= python3
VENV := .venv/bin
PYTEST_ARGS ?=
ALONE := tests/concurrency tests/integration/events tests/functional/webhooks/test_deliveries.py \
	tests/functional/payouts/test_metrics_proofs.py

.PHONY: run test check bench peers soak lock install clean stop

# Run everything, play the demo story, serve until Ctrl-C. ONCE=1 stops after the story;
# BARE=1 serves without demo data and story.
run: install
	@exec $(VENV)/python -m sandbox.supervisor $(if $(filter-out 0,$(ONCE)),--once) $(if $(filter-out 0,$(BARE)),--bare)

# The whole test suite on throwaway clusters, in two processes with a database and a broker each; a file's tests stay
# together. What others' transactions would change (ALONE) has a cluster and a process of its own beside them, and is
# told at the end. PG_BIN=/folder/of/another/postgres/bin runs it on that one.
test: install
	@mkdir -p var; \
	COUNTERFOIL_TEST_HOME="$$PWD/var/test-alone" PG_BIN="$(PG_BIN)" \
		$(VENV)/python -m tests.run $(ALONE) $(PYTEST_ARGS) > var/alone.log 2>&1 & alone=$$!; \
	PG_BIN="$(PG_BIN)" $(VENV)/python -m tests.run -n 2 --dist loadfile --no-loadscope-reorder \
		$(ALONE:%=--ignore=%) $(PYTEST_ARGS); main=$$?; \
	wait $$alone; alone=$$?; cat var/alone.log; exit $$((main + alone))

check: install
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports
	$(VENV)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(VENV)/python -m pytest -q -p no:cacheprovider tests/architecture

# Benchmarks on a cluster of their own with everything durable on. FULL=1 grows to 10^7 postings.
bench: install
	@FULL="$(FULL)" exec $(VENV)/python -m tests.bench

# Comparable software, installed into environments of its own, beside ours: same work, same machine.
peers: install
	@exec $(VENV)/python -m tests.peers

soak: install
	@exec $(VENV)/python -m tests.soak

# Resolve the .in files anew into locks with hashes (spec: the package alone); no registry's address goes into them.
lock: install
	cd requirements && for name in uv base dev spec; do \
	  UV_PYTHON_DOWNLOADS=never ../$(VENV)/uv pip compile --quiet --system-certs --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-emit-index-url $$name.in -o $$name.txt $$([ $$name = spec ] && echo --no-deps) || exit 1; done

install:
	@$(PYTHON) -m sandbox.install

stop:
	@$(PYTHON) -m sandbox.control stop

clean:
	@$(PYTHON) -m sandbox.control clean
