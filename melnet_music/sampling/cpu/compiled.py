"""How the kernels are compiled and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import types
from numba.core.types import unliteral
from numba.extending import intrinsic

from melnet_music.kernel_cache import njit
from melnet_music.model.config import VALUE_LIMIT
from melnet_music.sampling.cpu.target import TARGET

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    digest.update(f"{VALUE_LIMIT} {TARGET}".encode())  # all that the kernels take from elsewhere
    return digest.hexdigest()[:8]


_DIGEST = _digest_of_sources()


def compiled(function: _Function) -> _Function:
    """A kernel: machine code without the interpreter's lock, kept on disk for the next start.

    numba looks at the file of a kernel only to see whether what it kept is stale; but kernels call each other from
    file to file. So the name it keeps them under says which sources they come from, all of them.
    """
    return _compiled(function)


def inner(function: _Function) -> _Function:
    """A kernel that only kernels call."""
    return _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _compiled(function: _Function, **options: bool) -> _Function:
    function.__qualname__ += f"_{_DIGEST}"
    # no reassociation: a sum keeps its order, whatever the tile, the block or the thread that makes it
    kernel = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"}, **options)(function)
    # numba would compile a kernel anew for every constant it is called with
    with_constants = kernel.get_call_template
    kernel.get_call_template = lambda args, kws: with_constants(tuple(map(unliteral, args)), kws)
    return kernel  # type: ignore[no-any-return]


def pasted(function: _Function) -> _Function:
    """Part of a kernel, written apart for the reader: numba pastes it into its caller before it compiles."""
    return njit(inline="always")(function)  # type: ignore[no-any-return]


@intrinsic  # type: ignore[untyped-decorator]
def apart(typing: Any) -> Any:
    """Called first in a kernel: it is compiled once and called, instead of being pasted into all its callers.

    Pasting costs half a minute of compilation and gains nothing.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate
