# One verb a line. Everything is set up on the way: Python packages into .venv, the sandbox's binaries into ~/.cache/pawl.
PYTHON ?= python3
PY := .venv/bin/python

.PHONY: setup binaries nodes demo test test-quick lint format bench crds image push lock clean
setup:      ; @$(PYTHON) scripts/bootstrap.py
binaries: setup ; @$(PY) -m pawl sandbox build --storage
# as root on Debian or Ubuntu this installs what a real node needs and says what; elsewhere it says why it cannot
nodes: setup ; @$(PY) -m pawl sandbox build --real-nodes --storage
demo: binaries ; @$(PY) -m pawl demo $(ARGS)
test: nodes ; $(PY) -m pytest -n 2 $(ARGS)
test-quick: setup ; $(PY) -m pytest -n 2 -m "not cluster and not faults and not node" $(ARGS)
bench: nodes ; $(PY) -m bench $(ARGS)
image: setup ; @$(PY) -m scripts.image build $(if $(BASE),--base $(BASE)) $(if $(TAG),--tag $(TAG))
push: image ; @$(PY) -m scripts.image push $(TAG) $(ARGS)
crds: setup ; $(PY) -m pawl.cli.generate && $(PY) scripts/argocd.py
format: setup ; .venv/bin/ruff format . && .venv/bin/ruff check --fix .
lint: setup
	.venv/bin/ruff format --check . && .venv/bin/ruff check .
	.venv/bin/mypy && .venv/bin/lint-imports --no-cache
	$(PY) -m pawl.cli.generate --check && $(PY) scripts/argocd.py --check && $(PY) scripts/check_lock.py
lock: setup ; $(PY) scripts/check_lock.py --write
clean:      ; rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
