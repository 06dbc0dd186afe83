"""At most so many requests a second to one host, by all processes of a user together."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path

from filelock import FileLock

_AHEAD = 600
"""Seconds; a turn that is further ahead was written by a clock that has since been set back."""


def wait_for_turn(host: str, per_second: float) -> None:
    """Return once another request to ``host`` may be sent, at least 1/``per_second`` s apart."""
    folder = _cache_folder()
    name = re.sub(r"[^A-Za-z0-9.-]", "_", host).lstrip(".") or "_"
    with FileLock(folder / f"{name}.lock"):
        now = time.time()
        last = _read(folder / name)
        turn = max(now, last + 1 / per_second) if last < now + _AHEAD else now
        (folder / name).write_text(repr(turn))
    time.sleep(max(0.0, turn - now))


def _cache_folder() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(caches) / "seq2exp" / "requests"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    # A home that cannot be written to, as in containers.
    folder = Path(tempfile.gettempdir()) / f"seq2exp-requests-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    return folder


def _read(file: Path) -> float:
    try:
        return float(file.read_text())
    except (OSError, ValueError):
        return 0.0
