"""matplotlib, which only pictures need."""

from __future__ import annotations

from typing import Any


def pyplot() -> Any:
    """``matplotlib.pyplot``, drawing to files.

    Raises:
        ValueError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise ValueError("pictures need matplotlib: pip install 'melnet-music[data]'") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot as plots

    return plots
