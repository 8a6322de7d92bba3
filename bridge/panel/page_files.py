"""The files of the page, read once, and the headers that they are sent with."""

from __future__ import annotations

from pathlib import Path

from bridge.osc.oscquery.site import WebFile

FOLDER = Path(__file__).parent / "page"
PREFIX = "/panel/"
INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def read_page_files() -> dict[str, WebFile]:
    """All files of the page, by their names."""
    return {path.name: WebFile(_TYPES[path.suffix], path.read_bytes()) for path in sorted(FOLDER.iterdir())}


def page_headers(host: str) -> dict[str, str]:
    """What keeps the page to itself: it loads, runs and talks to nothing but the daemon, and is shown in no frame.

    Args:
        host: by which the browser calls the daemon. Some browsers do not count websockets as of the same origin.
    """
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' ws://{host}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cache-Control": "no-cache",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
