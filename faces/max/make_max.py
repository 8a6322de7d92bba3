"""Makes MelNet.maxpat, for Max, and MelNet.amxd, for Ableton Live, of device.json: `python make_max.py` in this folder.

device.json names boxes and the lines between them:

- a box has a ``text``, as typed in Max, or is a ``button``, ``number``, ``label`` or ``message`` (``kind``);
- ``at`` is its place in the patcher, ``shown`` its rectangle on the device: x, y, width and height in pixels;
- ``only`` says that it is of ``max`` or of ``live``; lines from and to it go with it;
- a line is ``FROM OUTLET TO INLET``.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any, Literal

Target = Literal["max", "live"]
Patcher = dict[str, Any]

FOLDER = Path(__file__).parent
DESCRIPTION = FOLDER / "device.json"
OUTPUTS: dict[Target, Path] = {"max": FOLDER / "MelNet.maxpat", "live": FOLDER / "MelNet.amxd"}
DEVICE_HEIGHT = 169.0
"""Of Live's device view, in pixels."""
INLETS_AND_OUTLETS = {
    "conformpath": (1, 2), "counter": (5, 4), "int": (2, 1), "live.object": (2, 1),
    "live.observer": (2, 2), "live.path": (1, 3), "live.thisdevice": (1, 3), "loadbang": (1, 1), "opendialog": (1, 2),
    "plugin~": (2, 2), "plugout~": (2, 2), "prepend": (1, 1), "udpreceive": (1, 1), "udpsend": (1, 0),
}  # fmt: skip
"""Of objects that have the same number whatever their arguments are."""
_OF_KIND = {"button": (1, 2), "number": (1, 2), "label": (1, 0), "message": (2, 1)}
_AUDIO_EFFECT = b"aaaa"
_BUTTON_MODE, _INT_TYPE, _ENUM_TYPE = 0, 1, 2


def ports_of(box: dict[str, Any]) -> tuple[int, int]:
    """How many inlets and outlets a box has."""
    if "kind" in box:
        return _OF_KIND[box["kind"]]
    name, *arguments = box["text"].split()
    match name:
        case "t":
            return 1, len(arguments)
        case "route":
            return 1, len(arguments) + 1
        case "sel":
            return 2, len(arguments) + 1
        case "pack" | "pak":
            return len(arguments), 1
        case "sprintf":
            return box["text"].count("%"), 1
        case "expr":
            return 1 + sum(f"${kind}{n}" in box["text"] for n in range(2, 9) for kind in "fi"), 1
    return INLETS_AND_OUTLETS[name]


def make_patcher(description: dict[str, Any], target: Target) -> Patcher:
    """The patcher as Max reads it.

    Raises:
        ValueError: a line names a box, an inlet or an outlet that there is not.
    """
    boxes = {name: box for name, box in description["boxes"].items() if box.get("only", target) == target}
    ids = {name: f"obj-{number}" for number, name in enumerate(boxes, 1)}
    lines = [{"patchline": each} for line in description["lines"] if (each := _line(line, description, ids))]
    return {
        "patcher": {
            "fileversion": 1,
            "appversion": {"major": 8, "minor": 5, "revision": 0, "architecture": "x64", "modernui": 1},
            "classnamespace": "box",
            "rect": [80.0, 100.0, 1100.0, 640.0],
            "openinpresentation": 1,
            "default_fontsize": 12.0,
            "default_fontname": "Arial",
            "gridsize": [15.0, 15.0],
            "devicewidth": float(description["width"]) if target == "live" else 0.0,
            "description": description["title"],
            "boxes": [{"box": _box(name, box, ids[name])} for name, box in boxes.items()],
            "lines": lines,
        }
    }


def _line(line: str, description: dict[str, Any], ids: dict[str, str]) -> dict[str, Any] | None:
    source, outlet, destination, inlet = line.split()
    for name in (source, destination):
        if name not in description["boxes"]:
            raise ValueError(f"device.json, line {line!r}: there is no box {name!r}")
    if int(outlet) >= ports_of(description["boxes"][source])[1]:
        raise ValueError(f"device.json, line {line!r}: {source!r} has no outlet {outlet}")
    if int(inlet) >= ports_of(description["boxes"][destination])[0]:
        raise ValueError(f"device.json, line {line!r}: {destination!r} has no inlet {inlet}")
    if source not in ids or destination not in ids:
        return None
    return {"source": [ids[source], int(outlet)], "destination": [ids[destination], int(inlet)]}


def _box(name: str, box: dict[str, Any], box_id: str) -> dict[str, Any]:
    inlets, outlets = ports_of(box)
    x, y = box["at"]
    made: dict[str, Any] = {
        "id": box_id,
        "maxclass": "newobj",
        "numinlets": inlets,
        "numoutlets": outlets,
        "patching_rect": [float(x), float(y), max(60.0, 7.0 * len(box.get("text", ""))), 22.0],
    }
    if outlets:
        made["outlettype"] = [""] * outlets
    match box.get("kind"):
        case "button":
            made |= {"maxclass": "live.text", "mode": _BUTTON_MODE, "text": box["text"], "texton": box["text"]}
            made |= _parameter(name, _ENUM_TYPE, {"parameter_enum": ["off", "on"], "parameter_mmax": 1})
        case "number":
            low, high, first = box["range"]
            limits = {"parameter_mmin": float(low), "parameter_mmax": float(high)}
            made |= {"maxclass": "live.numbox"}
            made |= _parameter(name, _INT_TYPE, {**limits, "parameter_initial": [first], "parameter_initial_enable": 1})
        case "label":
            made |= {"maxclass": "comment", "text": box["text"]}
        case "message":
            made |= {"maxclass": "message", "text": box["text"]}
        case _:
            made["text"] = box["text"]
    if "shown" in box:
        made |= {"presentation": 1, "presentation_rect": [float(each) for each in box["shown"]]}
    return made


def _parameter(name: str, kind: int, more: dict[str, Any]) -> dict[str, Any]:
    """That Live shows, automates and maps."""
    value = {"parameter_longname": name, "parameter_shortname": name, "parameter_type": kind, **more}
    return {"varname": name, "parameter_enable": 1, "saved_attribute_attributes": {"valueof": value}}


def patcher_text(patcher: Patcher) -> bytes:
    """The JSON of a .maxpat file."""
    return (json.dumps(patcher, indent="\t") + "\n").encode()


def wrap_device(patcher: bytes) -> bytes:
    """An .amxd file: chunks of a name, the length as little-endian uint32, and the bytes; the patcher ends with a 0."""
    chunks = ((b"ampf", _AUDIO_EFFECT), (b"meta", bytes(4)), (b"ptch", patcher + b"\0"))
    return b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)


def unwrap_device(device: bytes) -> dict[str, bytes]:
    """The chunks of an .amxd file by their names.

    Raises:
        ValueError: it is no such file.
    """
    chunks, start = {}, 0
    while start < len(device):
        if len(device) - start < 8:
            raise ValueError(f"{len(device) - start} bytes are left over after the last chunk")
        name, size = struct.unpack_from("<4sI", device, start)
        data = device[start + 8 : start + 8 + size]
        if len(data) < size:
            raise ValueError(f"chunk {name!r} claims {size} bytes, {len(data)} are there")
        chunks[name.decode("latin-1")] = data
        start += 8 + size
    return chunks


def make(target: Target) -> bytes:
    """The whole file."""
    description = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    text = patcher_text(make_patcher(description, target))
    return wrap_device(text) if target == "live" else text


def main() -> int:
    """Write both files."""
    for target, path in OUTPUTS.items():
        path.write_bytes(make(target))
    return 0


if __name__ == "__main__":
    sys.exit(main())
