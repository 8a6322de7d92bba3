"""Measurements of what the stage promises, each a program: ``python -m tests.figures.NAME``.

They run the daemon as ``melnet-music serve`` runs it, on the JACK server of the tests, and write one JSON object to
standard output.
"""

import sys
from pathlib import Path

# The parts that the tests are made of lie there, and know each other by these names.
_SUPPORT = Path(__file__).parent.parent / "support"
sys.path[:0] = [str(_SUPPORT), str(_SUPPORT / "jack"), str(_SUPPORT / "tiny")]
