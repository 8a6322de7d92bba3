"""The documents name what there is: links, files, modules, subcommands and options; the README stays short."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from bridge.cli.main import build_parser

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "faces").rglob("*.md")),
    *sorted((ROOT / "presets").glob("*/card.md")),
]
FIGURES = sorted((ROOT / "tests" / "figures").rglob("*.py"))
MOST_README_LINES = 150


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose_of(path: Path) -> str:
    """Without fenced examples."""
    return re.sub(r"^```.*?^```", "", text_of(path), flags=re.DOTALL | re.MULTILINE)


def code_spans(path: Path) -> list[str]:
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose_of(path))]


def options_by_subcommand() -> dict[str, set[str]]:
    parser = build_parser()
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {name: set(subparser._option_string_actions) for name, subparser in subparsers.choices.items()}


@cache
def defined_names() -> set[str]:
    """Classes, functions and values at the top of the modules, and methods as ``Class.method``."""
    names: set[str] = set()
    for path in [*(ROOT / "bridge").rglob("*.py"), *(ROOT / "melnet_music").rglob("*.py")]:
        for node in ast.parse(text_of(path)).body:
            if isinstance(node, ast.ClassDef):
                methods = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
                names |= {node.name, *(f"{node.name}.{method}" for method in methods)}
            elif isinstance(node, ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


OPTIONS = options_by_subcommand()


def test_the_readme_is_short() -> None:
    assert len(text_of(ROOT / "README.md").splitlines()) <= MOST_README_LINES


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!\w+://)([^)]+)\)", prose_of(path))
    missing = [link for link in links if not (path.parent / link.partition("#")[0]).exists()]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_anchors_are_headings(path: Path) -> None:
    for file, anchor in re.findall(r"\]\((?!\w+://)([^)#]*)#([^)]+)\)", prose_of(path)):
        headings = re.findall(r"^#+ (.*)$", prose_of(path.parent / file if file else path), flags=re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*DOCUMENTS, *FIGURES], ids=name_of)
def test_files_named_exist(path: Path) -> None:
    named = re.findall(
        r"(?<![\w/.-])(?:bridge|melnet_music|tests|docs|presets|faces|\.ci)/[\w/*-]+(?:\.\w+)*", text_of(path)
    )
    missing = [name for name in named if not list(ROOT.glob(name.rstrip("/")))]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_modules_named_exist(path: Path) -> None:
    """``package.module``, or ``package.module.name`` of something in it."""
    for name in re.findall(r"\b(?:bridge|melnet_music|tests)(?:\.\w+)+", text_of(path)):
        if name != "tests.figures.NAME":
            assert is_module(name) or is_in_module(name), name


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def is_in_module(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    return is_module(module) and hasattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_subcommands_and_options_named_exist(path: Path) -> None:
    for span in code_spans(path):
        words = span.removeprefix("melnet-music ").split()
        given = {word.partition("=")[0] for word in words if re.match(r"--?\w", word)}
        if words[0] in OPTIONS and (span.startswith("melnet-music ") or given):
            assert given <= OPTIONS[words[0]], span
        elif span.startswith("melnet-music "):
            assert words[0].startswith("-") or words[0] == "SUBCOMMAND", span
        elif words[0].startswith("--"):
            assert any(words[0] in options for options in OPTIONS.values()), span


def test_the_test_command_is_that_of_continuous_integration() -> None:
    assert "make test" in text_of(ROOT / ".ci" / "run")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        assert re.search(r"^    make test\b", text_of(path), flags=re.MULTILINE), path


def test_new_names_of_what_was_renamed_exist() -> None:
    """In the tables of the changelog."""
    section = text_of(ROOT / "CHANGELOG.md").partition("### Renamed\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (`.*) \|$", section, flags=re.MULTILINE)
    assert len(rows) > 100
    for old, cells in rows:
        new, _, kept = cells.partition(" | ")
        package = new.strip("`")
        names = [f"{package}.{name}" for name in re.findall(r"`(\w+)`", kept)] or re.findall(r"`([\w.]+)`", new)
        for name in names:
            assert is_module(name) or name in defined_names(), f"{old} -> {name}"


def test_each_figure_program_is_listed() -> None:
    """With the command that runs it."""
    folders = (ROOT / "tests" / "figures", ROOT / "tests" / "figures" / "models")
    programs = {path.stem for folder in folders for path in folder.glob("*.py")} - {"__init__"}
    assert programs <= set(code_spans(ROOT / "docs" / "measured.md"))
