"""The MelNet classes in a real sclang against a daemon: trigger, answer, take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bad_input import make_prime_files
from live_daemon import client, live_daemon, wait_ready
from sclang_session import FACE, run_sclang

SESSION = """
var m, take, listed, lost, told = [], say = { |name, value| ("SAID" + name + value).postln };
{
	m = MelNet("127.0.0.1", PORT);
	m.subscribe { |name, values| told = told.add(name) };
	say.(\\version, m.ask(\\version)[\\version]);
	say.(\\primed, m.ask('prime/file', "good.wav")[\\seconds]);
	m.set(\\tempo, 96);
	m.get(\\tempo) { |value| say.(\\tempo, value) };
	m.ask(\\sync, 5);

	take = m.continue(\\seconds, 0.25, \\seed, 7, \\lead, 0.5);
	take.onAccepted = { |take, values| say.(\\accepted, values[\\seed]) };
	say.(\\file, take.wait[\\file]);
	say.(\\over, take.isOver);
	say.(\\rerolled, m.reroll(\\take, take.finished[\\take]).wait[\\seed]);
	listed = m.ask('take/list');
	say.(\\listed, listed.collect(_[\\seed]));

	say.(\\unknown, try { m.ask(\\get, \\loudness) } { |error| error.code });
	take = m.generate(\\seconds, 300);
	take.onFailed = { |take, error| say.(\\cancelled, error.code) };
	take.cancel;
	try { take.wait };

	// floats for integers, and bundles whose time has passed
	lost = 40;
	OSCFunc({ lost = lost - 1 }, '/melnet/pong', m.addr);
	20.do { |number|
		m.addr.sendBundle(-3600, ["/melnet/note", 60.0, 0.0], ["/melnet/ping"]);
		m.command(\\sync, [1000.0 + number], { lost = lost - 1 });
	};
	m.latency = -5;
	say.(\\past, m.ask(\\sync, 77.0)[\\id]);
	say.(\\late, m.generate(\\seconds, 0.125).wait[\\seconds]);
	m.latency = 0.1;
	say.(\\held, m.ask(\\sync, 78)[\\id]);
	say.(\\lost, lost);

	m.timeout = 0.1;
	say.(\\nobody, try { MelNet("127.0.0.1", 9).timeout_(0.1).ask(\\ping) } { |error| error.code });
	say.(\\told, #[\\property, \\done, \\finished].every { |each| told.includes(each) });
	m.free;

	say.(\\quark, Quark.fromLocalPath("FACE").data[\\version]);
	say.(\\help, #["MelNet", "MelNetTake"].collect { |name|
		SCDoc.parseFileFull("FACE/HelpSource/Classes/" ++ name ++ ".schelp").notNil
	});
	say.(\\undocumented, [MelNet, MelNetTake].collect { |class|
		var text = File.readAllString("FACE/HelpSource/Classes/" ++ class.name ++ ".schelp");
		class.methods.collect(_.name).reject { |name|
			name.asString.beginsWith("pr") or: { name.isSetter } or: { name == \\init }
			or: { text.contains("METHOD:: " ++ name ++ "\\n") }
		}
	});
	0.exit;
}.fork(AppClock);
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the session said, by name; all of it was carried out, and nothing complained."""
    folder = tmp_path_factory.mktemp("sclang")
    with live_daemon(folder / "takes", allowed=(make_prime_files(folder),)) as daemon, client(daemon) as player:
        wait_ready(player)
        text = run_sclang(folder, SESSION.replace("PORT", str(daemon.address[1])).replace("FACE", str(FACE)))
    assert "compile done" in text, text
    assert not re.search(r"^(ERROR|WARNING).*", text, flags=re.MULTILINE), text
    return dict(line.split(" ", 2)[1:] for line in text.splitlines() if line.startswith("SAID "))


def test_a_take_from_trigger_to_file(said: dict[str, str]) -> None:
    assert said["primed"] == "1.0"
    assert said["accepted"] == "7"
    assert (Path(said["file"]).suffix, said["over"]) == (".wav", "true")
    assert said["rerolled"] == "8"
    assert said["listed"] == "[ 7, 8 ]"


EXPECTED = {
    "tempo": "96.0",
    "unknown": "unknown_property",
    "cancelled": "cancelled",
    "past": "77",
    "late": "0.125",
    "held": "78",
    "lost": "0",
    "nobody": "no_answer",
    "told": "true",
    "quark": "0.1.0",
    "help": "[ true, true ]",
    "undocumented": "[ [  ], [  ] ]",
}


@pytest.mark.parametrize("what", EXPECTED)
def test_a_session(said: dict[str, str], what: str) -> None:
    """Properties, refusals, cancelling, bundles from the past and to come, events, and what a Quark needs."""
    assert said[what] == EXPECTED[what]
