# `make demo` and `make test` are all that a newcomer needs: each sets up .venv first.

PYTHON ?= python3
NEWEST ?= $(PYTHON)
BIN := .venv/bin

# The tests start hundreds of processes: each would compile the whole package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint wheel docs slow bench clean

demo: .venv/ready  ## plan, apply and run the examples, on copies in demo/
	$(BIN)/python examples/demo.py demo

test: .venv/ready  ## the whole suite but what is marked slow
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

slow: .venv/ready .venv-torch/ready  ## what takes longer: Kale itself, and many more random examples
	$(BIN)/pytest -n 2 --dist loadfile -m slow
	.venv-torch/bin/python -m pytest -m slow tests/step_runtime/test_libraries.py
	KALE_TAG_EXAMPLES=400 $(BIN)/pytest -n 2 -m "not slow" tests/plan tests/compare \
	  tests/notebook/test_splice.py tests/commands/test_schema.py

lint: .venv/ready  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: .venv/ready  ## build, and run the tests against the wheel, with another Python if NEWEST names one
	rm -rf dist .venv-wheel
	$(BIN)/python -m build --quiet
	$(NEWEST) -m venv .venv-wheel
	.venv-wheel/bin/pip install --quiet --upgrade pip
	.venv-wheel/bin/pip install --quiet "$$(echo dist/*.whl)[compare]" --group dev
	.venv-wheel/bin/pytest -n 2 -m "not slow"

docs: .venv/docs  ## the site, in site/; every link is checked
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: .venv/ready  ## the claims about noise and speed
	for program in noise cycle startup memory bulk patches revisions run; do $(BIN)/python benchmarks/$$program.py; done

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "kale-tag needs Python 3.11 or newer; say make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[compare]' --group dev
	touch $@

# PyTorch, Keras and XGBoost, and behind them all that is in .venv.
.venv-torch/ready: .venv/ready
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/pip install --quiet --upgrade pip
	.venv-torch/bin/pip install --quiet --group torch
	where='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	echo "import site; site.addsitedir('$$($(BIN)/python -c "$$where")')" \
	  > "$$(.venv-torch/bin/python -c "$$where")/venv.pth"
	touch $@

.venv/docs: .venv/ready
	$(BIN)/pip install --quiet --group docs
	touch $@

clean:
	rm -rf .venv site .venv-torch .venv-wheel .venv-kale .venv-oldest .venv-cleaners .venv-node dist demo .hypothesis .mypy_cache .pytest_cache .ruff_cache
