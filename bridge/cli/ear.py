"""The subcommands of the ear: hear, train-ear."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from bridge.cli.subcommand import DEFAULT_PRESET, Subcommand

if TYPE_CHECKING:
    from melnet_music.evaluation.hearing import HearingScore
    from melnet_music.notes.ear.config import EarConfig
    from melnet_music.training.ear.works import Collection


def _add_hear_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="IN", help="audio file to listen to")
    parser.add_argument("--midi", type=Path, metavar="OUT.mid", help="write the notes there (else they are printed)")
    parser.add_argument(
        "--sure", type=float, default=0.0, metavar="P",
        help="only notes that are so probable, 0 to 1 (all that it believes in)",
    )  # fmt: skip
    parser.add_argument("--ear", type=Path, metavar="DIR", help="an ear from train-ear (the one that comes with it)")


def _hear(arguments: Namespace) -> int:
    from melnet_music.notes.ear.ear import as_notes, load_ear
    from melnet_music.notes.midi_file import write_midi_notes
    from melnet_music.sound.audio_file import read_audio
    from melnet_music.sound.mel import log_mel

    if not 0.0 <= arguments.sure <= 1.0:
        raise ValueError(f"--sure is {arguments.sure:g}, want 0 to 1")
    clip, ear = read_audio(arguments.input), load_ear(arguments.ear)
    heard = ear.hear_all(log_mel(clip.mono_at(ear.config.sound.sample_rate_hz), ear.config.sound))
    heard = [note for note in heard if note.confidence >= arguments.sure]
    if arguments.midi is None:
        sys.stdout.write("onset_s,end_s,pitch,velocity,confidence\n")
        for note in heard:
            sys.stdout.write(
                f"{note.onset_s:.3f},{note.end_s:.3f},{note.pitch},{note.velocity},{note.confidence:.2f}\n"
            )
        return 0
    write_midi_notes(arguments.midi, as_notes(heard))
    sys.stdout.write(f"{arguments.midi}: {len(heard)} notes in {clip.seconds:.1f} s of sound\n")
    return 0


def _add_train_ear_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="DIR", help="becomes a folder that hear --ear takes")
    parser.add_argument(
        "--works", type=int, default=80, metavar="N", help="works of each kind of music to learn from (%(default)s)"
    )
    parser.add_argument(
        "--held-out", type=int, default=8, metavar="N",
        help="works of each kind that thresholds are chosen on, and as many others to measure on (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=40.0, help="of training, by the clock (%(default)g)")
    parser.add_argument("--from", dest="start", type=Path, metavar="DIR", help="go on from this ear's weights")
    parser.add_argument(
        "--measure", action="store_true", help="train nothing: measure the ear in DIR on held-out works"
    )
    parser.add_argument("--rendered", type=Path, metavar="DIR", help="where rendered works are kept (DIR/works)")
    parser.add_argument("--preset", default=DEFAULT_PRESET, help="whose sound settings it hears in (%(default)s)")
    parser.add_argument(
        "--soundfont", type=Path, action="append", default=[], dest="soundfonts", metavar="FILE",
        help="SoundFont file to render with; may be given again (two free ones, found by itself)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the works, and of the training (%(default)s)")


def _train_ear(arguments: Namespace) -> int:
    from melnet_music.model.config import read_preset_config
    from melnet_music.model.preset import CONFIG_FILE, find_preset
    from melnet_music.notes.ear.config import EarConfig, read_ear_config
    from melnet_music.notes.ear.ear import CONFIG_FILE as EAR_FILE
    from melnet_music.training.ear.works import Collection

    for name in ("works", "held_out", "minutes"):
        if not getattr(arguments, name) > 0:
            raise ValueError(f"--{name.replace('_', '-')} is {getattr(arguments, name):g}, want more than 0")
    known = arguments.out if arguments.measure else arguments.start
    if known is None:
        config = EarConfig(sound=read_preset_config(find_preset(arguments.preset) / CONFIG_FILE).sound)
    else:
        config = read_ear_config(known / EAR_FILE)
    rendered = arguments.rendered or arguments.out / "works"
    collection = Collection(rendered, config.sound, arguments.seed, tuple(arguments.soundfonts))
    if not arguments.measure:
        _learn(arguments, config, collection)
    return _measure(arguments, collection)


def _learn(arguments: Namespace, config: EarConfig, collection: Collection) -> None:
    import torch

    from melnet_music.evaluation.ear_thresholds import choose_thresholds
    from melnet_music.model.preset import write_weights
    from melnet_music.notes.ear.config import write_ear_config
    from melnet_music.notes.ear.ear import CONFIG_FILE, WEIGHTS_FILE
    from melnet_music.notes.ear.weights import read_ear_weights
    from melnet_music.training.ear.network import EarNetwork
    from melnet_music.training.ear.run import EarPlan, EarProgress, train_ear
    from melnet_music.training.ear.works import both_kinds

    out: Path = arguments.out
    start = None
    if arguments.start is not None:
        weights = read_ear_weights(arguments.start / WEIGHTS_FILE, config)
        start = {name: torch.tensor(array) for name, array in weights.items()}
    with _bar("rendering", 2 * (arguments.works + arguments.held_out)) as done:
        works = both_kinds(collection, "train", arguments.works, done)
        valid = both_kinds(collection, "valid", arguments.held_out, done)

    def keep(network: EarNetwork) -> None:
        out.mkdir(parents=True, exist_ok=True)
        write_ear_config(out / CONFIG_FILE, config)
        write_weights(out / WEIGHTS_FILE, network.state_dict())

    with tqdm(total=100.0, desc="training", bar_format="{desc} {percentage:3.0f}% |{bar}| {postfix}") as bar:

        def report(line: EarProgress) -> None:
            bar.set_postfix_str(f"step {line.step}, loss {line.train_loss:.2f}, held out {line.valid_loss:.2f}")
            bar.update(100.0 * line.fraction - bar.n)

        keep(train_ear(config, works, valid, EarPlan(arguments.minutes, arguments.seed), start, report, keep))
    chosen, by_onset = choose_thresholds(config, read_ear_weights(out / WEIGHTS_FILE, config), list(valid.values()))
    write_ear_config(out / CONFIG_FILE, config.model_copy(update={"thresholds": chosen}))
    shown = ", ".join(f"{threshold:g}: {f1:.3f}" for threshold, f1 in by_onset.items())
    sys.stdout.write(f"{out}: ready, melnet-music hear IN --ear {out}; F1 by threshold of onsets: {shown}\n")


def _measure(arguments: Namespace, collection: Collection) -> int:
    from melnet_music.evaluation.hearing import measure_hearing
    from melnet_music.notes.ear.ear import load_ear
    from melnet_music.training.ear.works import both_kinds

    ear = load_ear(arguments.out)
    with _bar("rendering", 2 * arguments.held_out) as done:
        kinds = both_kinds(collection, "test", arguments.held_out, done)
    with _bar("listening", 2 * arguments.held_out) as done:
        scores = {kind: measure_hearing(ear, works, done) for kind, works in kinds.items()}
    for kind, score in scores.items():
        sys.stdout.write(f"{kind}: {_in_words(score)}\n")
    return 0


def _in_words(score: HearingScore) -> str:
    onsets = score.onsets
    return (
        f"F1 {onsets.f1:.3f} (precision {onsets.precision:.3f}, recall {onsets.recall:.3f}) of {onsets.true} notes in "
        f"{score.works} works, {score.seconds / 60:.1f} min; with ends {score.with_ends.f1:.3f}; of the surer half "
        f"{score.sure.precision:.3f} are right; onsets {score.late_ms:+.1f} ms, +-{score.spread_ms:.1f}; velocity "
        f"+-{score.velocity_error:.1f}; told {score.told_after_ms:.0f} ms after the onset, 95 of 100 within "
        f"{score.told_latest_ms:.0f}; {100 * score.cpu_share:.1f} % of a core"
    )


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[str], None]]:
    with tqdm(total=total, desc=what, unit="work") as bar:

        def done(name: str) -> None:
            bar.update(1)

        yield done


SUBCOMMANDS = (
    Subcommand("hear", "Write down the notes of a recording", _add_hear_arguments, _hear),
    Subcommand(
        "train-ear", "Train the ear that hear listens with, or measure it", _add_train_ear_arguments, _train_ear
    ),
)
