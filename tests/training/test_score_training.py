"""The score model's training: what plays computes what was trained, scores are read as they are, a run goes on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from melnet_music.notes.score.grid import Meter
from melnet_music.notes.score.network import FORBIDDEN, ScoreModel, weight_shapes
from melnet_music.notes.score.planner import Plan
from melnet_music.notes.score.state import ScoreState
from melnet_music.notes.score.tokens import HORIZON
from melnet_music.training.score.network import ScoreNetwork, ScoreShape, tensors_of
from melnet_music.training.score.scores import Score, compose_score, read_scores, split_of_score
from melnet_music.training.score.sequences import Stretch, draw_stretch, empty_rows, write_rows
from melnet_music.training.score.train import CURVE_FILE, ScorePlan, train_score

LARGEST_DIFFERENCE = 1e-4
"""Of a logit between torch and what plays; 3e-5 was measured."""


@pytest.fixture(scope="module")
def score() -> Score:
    return compose_score("piano", 7, 1)


@pytest.fixture(scope="module")
def network() -> ScoreNetwork:
    torch.manual_seed(1)
    network = ScoreNetwork(ScoreShape(64, 2, 96))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def playing(network: ScoreNetwork) -> ScoreModel:
    return ScoreModel({name: tensor.numpy() for name, tensor in network.state_dict().items()})


class Follower:
    """Reads a score's notes and holds the logits against those of rows."""

    def __init__(self, network: ScoreNetwork, score: Score, stretch: Stretch, tokens: int) -> None:
        rows = empty_rows(1, tokens)
        write_rows(rows, 0, score, stretch)
        with torch.no_grad():
            h = network.trunk(tensors_of(rows))[0]
            flat = {name: tensor[0] for name, tensor in tensors_of(rows).items()}
            pitch_state = network.pitch_state(h, flat, flat["next_time"].clamp(0))
            length_state = network.length_state(pitch_state, flat["next_pitch"].clamp(0))
            self.wanted: dict[str, Tensor] = {
                "output": h,
                "time": network.time_logits(h, flat),
                "pitch": network.pitch_logits(pitch_state, flat),
                "length": network.length_logits(length_state, flat),
                "velocity": network.velocity(length_state),
            }
        self.flat = flat
        self.state = ScoreState(playing(network), score.bars, int(score.bars.starts[stretch.first_bar]))
        self.row = 0

    def compare(self) -> float:
        """The largest difference at this place; then reads the next note of the rows."""
        state, model = self.state, self.state.model
        found = {"output": state.output}
        times = model.time_logits(state.output, *state.look_at_times())
        times[int(self.flat["time_limit"][self.row]) : HORIZON] = FORBIDDEN
        found["time"] = times
        since, key = (int(self.flat[name][self.row]) for name in ("next_time", "next_pitch"))
        if key >= 0:
            onset = state.cursor + since
            seen, lengths = state.look_at_pitches(onset)
            hidden = model.pitch_state(state.output, since, state.place(onset), state.chroma)
            found["pitch"] = model.pitch_logits(hidden, seen, state.chroma, *state.last_pitches)
            if since == 0:
                found["pitch"][: state.lowest_key] = FORBIDDEN
            hidden = model.length_state(hidden, key)
            found["length"] = model.length_logits(hidden, lengths[key])
            found["velocity"] = model.velocity_logits(hidden)
        differences = [
            float(np.abs(value - self.wanted[name][self.row].numpy()).max()) for name, value in found.items()
        ]
        self.row += 1
        return max(differences)


def test_what_plays_computes_what_was_trained(network: ScoreNetwork, score: Score) -> None:
    """Longer than the window, in the past and in a part that is filled."""
    start, gap_start, gap_end = (int(score.bars.starts[bar]) for bar in (0, 22, 25))
    notes = score.notes()
    follower = Follower(network, score, Stretch(0, fill=(22, 25)), 420)
    differences = []
    for note in (note for note in notes if start <= note.onset < gap_start):
        differences.append(follower.compare())
        follower.state.append(note)
    follower.row = int((follower.flat["kind"] == 2).nonzero()[-1])
    follower.state.begin_filling(gap_start, gap_end, [note for note in notes if note.onset >= gap_end])
    filled = [note for note in notes if gap_start <= note.onset < gap_end]
    for note in filled:
        differences.append(follower.compare())
        follower.state.append(note)
    assert len(differences) - len(filled) > 200
    assert len(filled) > 20
    assert max(differences) < LARGEST_DIFFERENCE


def test_the_trained_shapes_are_the_played_ones(network: ScoreNetwork) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == weight_shapes(64, 2, 96)


def test_nothing_is_seen_of_what_is_to_come(network: ScoreNetwork, score: Score) -> None:
    """Logits before a note do not change when all from that note on is another."""
    cut = 120
    other = Score(
        score.name, score.onsets, score.pitches.copy(), score.lengths.copy(), score.velocities, score.bars, 100.0
    )
    other.pitches[cut:] = np.minimum(87, other.pitches[cut:] + 1)
    other.lengths[cut:] = (other.lengths[cut:] + 3) % 20
    found = []
    for each in (score, other):
        rows = empty_rows(1, 200)
        write_rows(rows, 0, each, Stretch(0))
        flat = {name: tensor[:, : cut + 1] for name, tensor in tensors_of(rows).items()}
        with torch.no_grad():
            h = network.trunk(flat)[0]
            asked = {name: tensor[0] for name, tensor in flat.items()}
            state = network.pitch_state(h, asked, asked["next_time"].clamp(0))
            found.append((network.time_logits(h, asked), network.pitch_logits(state, asked)))
    for one, another in zip(*found, strict=True):
        assert torch.equal(one, another)


def test_stretches_fit_their_scores(score: Score) -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        stretch = draw_stretch(rng, score, 128)
        rows = empty_rows(1, 128)
        assert write_rows(rows, 0, score, stretch) == (rows.next_pitch[0] >= 0).sum()
        assert rows.next_pitch.max() < 88
        if stretch.fill is not None:
            assert stretch.first_bar <= stretch.fill[0] < stretch.fill[1]


def test_composed_works_become_seven_eight(score: Score) -> None:
    numbers = iter(range(50))
    shortened = next(
        each
        for number in numbers
        if (each := compose_score("piano", 7, number, shorten_bars=True)).bars.meters[0] == Meter(7, 8)
    )
    offsets = np.array(
        [onset - shortened.bars.start(shortened.bars.bar_at(onset)) for onset in shortened.onsets.tolist()]
    )
    assert offsets.max() < 42
    assert (np.diff(shortened.onsets) >= 0).all()


def entry(path: str, notes: int = 80) -> dict[str, object]:
    told = [[index / 2, 0.5, 60 + index % 12, 0] for index in range(notes)]
    return {"path": path, "parts": ["p"], "bars": [[0.0, 3, 4], [3.0], [6.0, 7, 8], [9.5]], "bpm": [], "notes": told}


def write_entries(path: Path, entries: list[dict[str, object]]) -> Path:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(each) + "\n" for each in entries)
    return path


def test_score_files_are_read_and_parts_of_works_left_out(tmp_path: Path) -> None:
    path = write_entries(
        tmp_path / "some.jsonl.gz",
        [entry("kern/001-1.krn"), entry("kern/001-1-piano.krn"), entry("scores/A/B/c.mxl"), entry("x/y/z.mxl", 3)],
    )
    scores = list(read_scores(path))
    assert [score.name for score in scores] == ["kern/001-1.krn", "scores/A/B/c.mxl"]
    assert scores[0].bars.starts[:6].tolist() == [0, 36, 72, 114, 156, 198]
    assert (scores[0].velocities == 8).all()
    assert split_of_score("kern/001-1.krn") == split_of_score("kern/001-2.krn")
    assert split_of_score("scores/A/B/c.mxl") == split_of_score("scores/A/D/e.mxl")


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"{}\n"), gzip.compress(b"[1, 2]\n")],
    ids=["empty", "no gzip", "no keys", "no object"],
)
def test_files_that_are_no_scores_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.jsonl.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.jsonl\.gz"):
        train_score(tmp_path / "out", [tmp_path / "bad.jsonl.gz"], ScorePlan(steps=1))


def test_a_run_goes_on_and_its_weights_play(tmp_path: Path) -> None:
    plan = ScorePlan(steps=2, sequences=1, tokens=48, shape=ScoreShape(32, 1, 32), first_works=1, measured_works=1)
    train_score(tmp_path, [], plan)
    lines = []
    weights = train_score(tmp_path, [], plan, lines.append)
    assert not lines  # it was done already
    assert json.loads((tmp_path / CURVE_FILE).read_text().splitlines()[-1])["step"] == 2
    state = ScoreState(ScoreModel.load(weights), compose_score("piano", 7, 1).bars)
    assert Plan.begin(state, 0, None, np.random.default_rng(0)).extend(96)
    with pytest.raises(ValueError, match="seed"):
        train_score(tmp_path, [], ScorePlan(steps=2, sequences=1, tokens=48, shape=ScoreShape(32, 1, 32), seed=2))
