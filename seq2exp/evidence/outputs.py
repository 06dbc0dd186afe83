"""Figures of one run as JSON, which the summary takes up."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2exp.schemas import RUN_KEYS, whole_file


def write_run_figures(
    path: Path, run: Mapping[str, Any], figures: Mapping[str, float | int | None]
) -> None:
    """Write one flat object: what tells the run from others, then its figures.

    Parameters
    ----------
    run
        Holds RUN_KEYS, as the index of a mask store does.
    figures
        Null where one is None, NaN or infinite.
    """
    known = {
        name: figure if figure is not None and math.isfinite(figure) else None
        for name, figure in figures.items()
    }
    with whole_file(path) as temporary:
        text = json.dumps({key: run[key] for key in RUN_KEYS} | known, indent=1)
        temporary.write_text(text + "\n")
