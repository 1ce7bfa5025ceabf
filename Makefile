# Two commands on a bare machine with Python >= 3.11:
#
#   make demo    installs into .venv, draws scenes, segments them, makes a page of it
#   make test    installs the development tools too and runs every check
#
PYTHON ?= python3
VENV   := .venv
# Any name that `groupvit segment --model` takes.
MODEL  ?= storybook
OUT    ?= out/demo

.PHONY: demo test clean

demo: $(VENV)/installed
	$(VENV)/bin/groupvit demo --model $(MODEL) --out $(OUT)

test: $(VENV)/installed-dev
	scripts/check

clean:
	rm -rf $(VENV) out dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "groupvit needs Python 3.11 or newer; run: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV); torch is large, so this can take some minutes."
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --group dev
	@touch $@
