"""The panel in a browser, as a player uses it: pointer and keys in, what becomes of it on the daemon's tape."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jack_rig import jack_server
from live_daemon import Player, client, live_daemon, pairs, wait_ready

pytest.importorskip("selenium", reason="needs selenium: pip install -e '.[test]'")

from browser import MISSING, browser, complaints, is_there, take_shape
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from bridge.protocol.table import PROPERTIES
from bridge.stage.daemon import Daemon

pytestmark = pytest.mark.skipif(not is_there(), reason=MISSING)

DEVICE = "system"
TEMPO = 240.0
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with (
        jack_server(),
        live_daemon(
            tmp_path_factory.mktemp("browser") / "takes", output=DEVICE, audio_input=DEVICE, oscquery_port=0
        ) as running,
        client(running) as player,
    ):
        wait_ready(player)
        player.send("set", "tempo", TEMPO)
        player.wait_for("done", "set")
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        yield one


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with browser(tmp_path_factory.mktemp("chromium") / "profile") as one:
        yield one


@pytest.fixture
def page(daemon: Daemon, chrome: Chrome) -> Iterator[Chrome]:
    """Loaded anew."""
    chrome.get(page_of(daemon))
    eventually(lambda: chrome.find_element(By.ID, "connection").text == "live")
    eventually(lambda: len(chrome.find_elements(By.CSS_SELECTOR, ".property")) == len(PROPERTIES))
    yield chrome
    assert complaints(chrome) == []


def page_of(daemon: Daemon) -> str:
    assert daemon.panel_address is not None
    return f"http://127.0.0.1:{daemon.panel_address[1]}/"


@contextmanager
def as_phone(chrome: Chrome) -> Iterator[Chrome]:
    take_shape(chrome, (390, 844), phone=True)
    try:
        yield chrome
    finally:
        take_shape(chrome)


def eventually(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def trigger(page: Chrome, name: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, f'[data-trigger="{name}"]')


def bar(page: Chrome, number: int) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, f'[data-bar="{number}"]')


def bars(page: Chrome) -> dict[int, str]:
    """What the page says that the bars hold."""
    cells = page.execute_script(
        "return [...document.querySelectorAll('[data-bar]')].map(c => [Number(c.dataset.bar), c.ariaLabel])"
    )
    return dict(cells)


def takes_on_tape(player: Player) -> dict[int, tuple[int, int]]:
    """The bars of each take that repaints some."""
    player.heard.clear()
    player.send("take/list")
    player.wait_for("done", "take/list")
    told = [
        dict(zip(map(str, m.values[::2]), m.values[1::2], strict=True))
        for m in player.heard
        if m.address == "/melnet/take/list.reply"
    ]
    return {int(t["take"]): (int(t["from_bar"]), int(t["to_bar"])) for t in told if t["on_tape"]}


def made_bars(page: Chrome, player: Player, count: int) -> int:
    """Have the panel make so many bars; returns the first, once the page shows all of them."""
    player.send("subscribe")
    player.wait_for("done", "subscribe")
    page.find_element(By.CSS_SELECTOR, f'#length option[value="{count}"]').click()
    page.find_element(By.CSS_SELECTOR, '#property-quantise option[value="bar"]').click()
    player.wait_for("event", "property", "quantise", "bar")
    trigger(page, "generate").click()
    started = player.wait_until(
        lambda m: m.address == "/melnet/event" and m.values[0] == "started", "start", PATIENCE_SECONDS
    )
    first = int(str(dict(zip(map(str, started.values[4::2]), started.values[5::2], strict=True))["bar"]))
    player.wait_until(lambda m: m.address == "/melnet/event" and m.values[0] == "finished", "end", PATIENCE_SECONDS)
    eventually(lambda: all("made" in bars(page).get(number, "") for number in range(first, first + count)))
    return first


def test_bars_are_made_repainted_by_mouse_and_by_keys_rerolled_and_undone(page: Chrome, player: Player) -> None:
    first = made_bars(page, player, 4)
    assert takes_on_tape(player) == {}

    # two bars, dragged over with the mouse
    drag = ActionChains(page).click_and_hold(bar(page, first + 1)).move_to_element(bar(page, first + 2)).release()
    drag.perform()
    assert page.find_element(By.ID, "selection").text == f"Bars {first + 1} to {first + 2} selected"
    assert [number for number in bars(page) if bar(page, number).get_attribute("aria-selected") == "true"] == [
        first + 1,
        first + 2,
    ]
    assert trigger(page, "inpaint").text.startswith(f"Repaint {first + 1}–{first + 2}")
    trigger(page, "inpaint").click()
    eventually(lambda: len(takes_on_tape(player)) == 1)
    (repainted,) = takes_on_tape(player)
    assert takes_on_tape(player) == {repainted: (first + 1, first + 2)}
    eventually(lambda: [n for n, label in bars(page).items() if "repainted" in label] == [first + 1, first + 2])

    trigger(page, "take/reroll").click()
    eventually(lambda: list(takes_on_tape(player)) not in ([repainted], []))
    (rerolled,) = takes_on_tape(player)
    assert takes_on_tape(player) == {rerolled: (first + 1, first + 2)}

    trigger(page, "take/undo").click()
    eventually(lambda: list(takes_on_tape(player)) == [repainted])
    trigger(page, "take/redo").click()
    eventually(lambda: list(takes_on_tape(player)) == [rerolled])
    for _ in range(2):
        trigger(page, "take/undo").click()
    eventually(lambda: takes_on_tape(player) == {})
    eventually(lambda: not any("repainted" in label for label in bars(page).values()))

    # once more without a mouse
    page.find_element(By.ID, "bars").send_keys(Keys.ESCAPE, Keys.END, Keys.SHIFT + Keys.ARROW_LEFT + Keys.NULL)
    last = max(bars(page))
    assert page.find_element(By.ID, "selection").text == f"Bars {last - 1} to {last} selected"
    page.find_element(By.ID, "bars").send_keys("r")
    eventually(lambda: list(takes_on_tape(player).values()) == [(last - 1, last)])

    # what cannot be is said
    trigger(page, "take/undo").click()
    eventually(lambda: takes_on_tape(player) == {})
    trigger(page, "take/undo").click()
    eventually(lambda: "undo" in page.find_element(By.ID, "error").text)
    assert page.find_element(By.ID, "error").aria_role == "alert"


def test_bars_are_looped_and_the_loop_is_seen(page: Chrome, player: Player) -> None:
    first = made_bars(page, player, 2)
    bar(page, first).click()
    trigger(page, "loop").click()
    eventually(lambda: [number for number, label in bars(page).items() if "in the loop" in label] == [first])
    eventually(lambda: bar(page, first).get_attribute("data-now") is not None)
    trigger(page, "loop").click()
    eventually(lambda: not any("in the loop" in label for label in bars(page).values()))
    player.send("loop/stop")
    assert player.wait_for("fail", "loop/stop")[2] == "refused"


def test_properties_are_set_and_follow(page: Chrome, player: Player) -> None:
    def value_of(name: str) -> object:
        player.send("get", name)
        return player.wait_for("get.reply", name)[1]

    for name in PROPERTIES:
        assert page.find_element(By.CSS_SELECTOR, f'label[for="property-{name}"]').text == name.replace("_", " ")
    page.find_element(By.CSS_SELECTOR, '#property-late option[value="drop"]').click()
    eventually(lambda: value_of("late") == "drop")
    page.find_element(By.ID, "property-lead").send_keys(Keys.CONTROL + "a" + Keys.NULL, "2.5", Keys.ENTER)
    eventually(lambda: value_of("lead") == 2.5)
    field = page.find_element(By.ID, "property-bias")
    assert field.get_attribute("placeholder") == "preset"
    page.execute_script(
        "const s = arguments[0].previousElementSibling; s.value = 4; s.dispatchEvent(new Event('input'))", field
    )
    eventually(lambda: value_of("bias") == 4.0)
    page.find_element(By.CSS_SELECTOR, '[aria-label="bias: the preset\'s own"]').click()
    eventually(lambda: value_of("bias") == "preset")
    for name, value in (("late", "next"), ("lead", 0.0)):  # and back, by somebody else
        player.send("set", name, value)
        player.wait_for("done", "set")
    eventually(lambda: page.find_element(By.ID, "property-late").get_property("value") == "next")
    eventually(lambda: page.find_element(By.ID, "property-lead").get_property("value") == "0")
    page.find_element(By.ID, "property-meter").send_keys(Keys.CONTROL + "a" + Keys.NULL, "waltz", Keys.ENTER)
    eventually(lambda: "meter" in page.find_element(By.ID, "error").text)


def test_the_sound_is_drawn_warm_where_it_is_generated(page: Chrome, player: Player) -> None:
    player.send("generate", 1, "seconds", 4.0, "quantise", "none")
    player.wait_for("started", "generate", 1)

    def brightest() -> list[int]:
        """Of the picture, left of the line that is now."""
        return list(
            page.execute_script(
                """
                const canvas = document.getElementById("spectrogram");
                const pixels = canvas.getContext("2d").getImageData(
                    canvas.width * 0.5, canvas.height * 0.5, canvas.width * 0.33, canvas.height * 0.48).data;
                let best = [0, 0, 0];
                for (let p = 0; p < pixels.length; p += 4)
                    if (pixels[p] - pixels[p + 2] > best[0] - best[2]) best = [...pixels.slice(p, p + 3)];
                return best;
                """
            )
        )

    eventually(lambda: brightest()[0] > brightest()[2] + 40)
    assert pairs(player.wait_for("finished", "generate", 1))["sounded"]


def test_a_phone_shows_all_in_one_column(daemon: Daemon, chrome: Chrome) -> None:
    with as_phone(chrome) as phone:
        phone.get(page_of(daemon))
        eventually(lambda: len(phone.find_elements(By.CSS_SELECTOR, ".property")) == len(PROPERTIES))
        assert phone.execute_script("return document.documentElement.scrollWidth") == 390
        places = [each.rect for each in phone.find_elements(By.CSS_SELECTOR, "main > section")]
        assert {place["x"] for place in places} == {places[0]["x"]}
        small = [
            button.text
            for button in phone.find_elements(By.CSS_SELECTOR, "#buttons button")
            if min(button.size["height"], button.size["width"]) < 44
        ]
        assert small == []
        assert complaints(phone) == []


def test_it_finds_a_daemon_that_starts_again(tmp_path: Path, chrome: Chrome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for run in ("first", "second"):
        with live_daemon(tmp_path / run, oscquery_port=port) as daemon, client(daemon) as player:
            wait_ready(player)
            if run == "first":
                chrome.get(page_of(daemon))
            eventually(lambda: chrome.find_element(By.ID, "connection").text == "live")
        eventually(lambda: chrome.find_element(By.ID, "connection").get_attribute("data-state") == "lost")
    complaints(chrome)  # that there was nobody
