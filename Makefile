# Two commands on a bare machine with Python >= 3.11:
#
#   make demo    installs into .venv, segments photographs and drawn scenes, makes a page of it
#   make test    installs the development tools too and runs every check
#
# And others:
#
#   make docs     builds the site into out/site, without warnings
#   make nightly  runs the checks that take long, too
#   make bench    times everything in docs/speed.md again, into out/bench; it needs a quiet machine
#                 for a quarter of an hour
#
PYTHON ?= python3
VENV   := .venv
# Any names that `groupvit segment --model` takes: of photographs, and of drawn scenes.
MODEL  ?= photos
SCENES_MODEL ?= storybook
OUT    ?= out/demo

.PHONY: demo test nightly docs bench clean

demo: $(VENV)/installed
	$(VENV)/bin/groupvit demo --model $(MODEL) --scenes-model $(SCENES_MODEL) --out $(OUT)

test: $(VENV)/installed-dev
	scripts/check

nightly: $(VENV)/installed-dev
	scripts/check --nightly

docs: $(VENV)/installed-dev
	$(VENV)/bin/python scripts/build_site.py

bench: $(VENV)/installed-bench
	$(VENV)/bin/python -m benchmarks.speed

clean:
	rm -rf $(VENV) out dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "groupvit needs Python 3.11 or newer; run: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Not compiled, as Python compiles what it imports: all of torch would take longer than the demo.
$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV); torch is large, so this can take some minutes."
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--constraint constraints.txt --editable .
	@touch $@

# --group needs a newer pip than that of Python 3.11.
$(VENV)/installed-dev: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --group dev --group docs
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed-dev
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --group bench
	@touch $@
