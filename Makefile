# make play     hear it: installs what is missing, then plays a phrase and how the model continues it
# make test     style, types and all tests
# make quick    the tests that need no sound server, no network and no training
# make check    style and types only
# make format   format the code, and mend what ruff can mend
# make setup    install everything: for playing, for making training data and for the tests
#
# On Debian and its relatives missing system packages are installed too. VENV and PYTHON may be given.

VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)

PLAY_PACKAGES := python3-venv libportaudio2
TEST_PACKAGES := libfluidsynth3 musescore-general-soundfont-small fluidr3mono-gm-soundfont jackd2 liblo-tools jack-midi-clock \
	puredata-core supercollider-language lua5.4 chromium chromium-driver

PIP_INSTALL = $(VENV)/bin/python -m pip --disable-pip-version-check install -c constraints.txt

# Files named *_live.py start whole daemons.
QUICK_TESTS := tests/clock tests/midi/test_controller.py tests/midi/test_mapping.py tests/model tests/notes tests/processes/test_watchdog.py \
	tests/protocol tests/sound tests/takes/test_job_queue.py tests/takes/test_start_time.py tests/tape/test_edit_history.py \
	tests/tape/test_session_tape.py tests/test_layering.py tests/test_readme.py

# Link needs a network, the others train, or compute for ten seconds and more.
NOT_QUICK := tests/clock/test_link.py tests/model/test_scan_cuda.py \
	tests/model/test_config_and_preset.py::test_paper_maestro_takes_a_training_step_and_samples

.PHONY: play test quick check format setup

play: $(VENV)/play.stamp
	$(VENV)/bin/melnet-music play

# Else every process that a test starts would compile all Python code anew.
test quick: export PYTHONDONTWRITEBYTECODE =

# One more than two cores: many tests wait for sound. tests/conftest.py orders the files.
test: check
	$(VENV)/bin/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

quick: setup
	$(VENV)/bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore-glob '*_live.py' $(NOT_QUICK:%=--deselect %) $(QUICK_TESTS)

format: setup
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

check: setup
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

setup: $(VENV)/test.stamp

# torch comes first and alone, so that a CPU build which pip finds is taken, and kept by all that follows.
$(VENV)/play.stamp: pyproject.toml constraints.txt
	$(call install_missing,$(PLAY_PACKAGES))
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) "$$(grep '^torch==' constraints.txt)"
	$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/test.stamp: $(VENV)/play.stamp faces/python/pyproject.toml
	$(call install_missing,$(TEST_PACKAGES))
	$(PIP_INSTALL) -e '.[midi,data,train,test]' -e faces/python
	@touch $@

# Without apt-get it says so and goes on: sounddevice brings PortAudio along for macOS and Windows. jackd2 would
# ask about real-time privileges; unasked it takes none, and the tests do without.
define install_missing
@missing=$$(for package in $(1); do \
	    dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || echo $$package; \
	done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	    echo "No apt-get here. docs/installing.md says what other systems need; on Debian it is" $$missing; \
	    exit 0; \
	fi; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "Installing" $$missing; \
	$$sudo apt-get update && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing || { \
	    echo "That failed. Have it installed, then try again: apt-get install" $$missing; \
	    exit 1; \
	}
endef
