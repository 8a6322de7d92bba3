"""What cannot be done with a tape on which nothing is is said."""

from __future__ import annotations

import pytest
from live_daemon import Player


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("inpaint", (1, "from_bar", 500, "to_bar", 501), "refused"),
        ("inpaint", (1, "from_bar", 3), "missing_argument"),
        ("inpaint", (1, "from_bar", 3, "to_bar", 2), "out_of_range"),
        ("inpaint", (1,), "missing_argument"),
        ("inpaint", (1, "from_bar", 1, "to_bar", 1, "start", 1.0), "missing_argument"),
        ("loop/start", (500, 501), "refused"),
        ("tape/export", (500, 501, "x.wav"), "refused"),
        ("loop/stop", (), "refused"),
        ("take/undo", (), "refused"),
        ("take/redo", (), "refused"),
        ("take/recall", (77,), "unknown_take"),
        ("take/reroll", (1,), "unknown_take"),
        ("take/export", (77, "x.wav"), "unknown_take"),
        ("continue", (1, "bars", 2, "seconds", 3.0), "repeated_key"),
        ("generate", (1, "bars", 65), "out_of_range"),
    ],
)
def test_what_cannot_be_done_is_said(player: Player, name: str, values: tuple[object, ...], code: str) -> None:
    player.send(name, *values)  # type: ignore[arg-type]
    assert player.wait_for("fail", name)[2] == code
