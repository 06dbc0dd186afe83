"""The tracks of a hub: which there are, under which, and what they look like.

Settings: https://genome.ucsc.edu/goldenPath/help/trackDb/trackDbHub.html. A cell line is a supertrack:
a composite of its signals, and for each model a composite of masks, one of elements, and the links.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from seq2exp.browser.colours import rgb
from seq2exp.browser.stanzas import Stanza
from seq2exp.figures.style import COLOURS, NAMES

SHORT, LONG = 17, 80
"""Characters of a label that browsers show."""


class HubRun(NamedTuple):
    """One run of a model with a mask, and the folder of its regions."""

    cell_line: str
    assay: str
    model: str
    fold: int
    seed: int
    folder: Path
    tracks: tuple[str, ...]
    """``mask``, and those of its parts that there are: each a bigWig of this name in ``folder``."""

    @property
    def place(self) -> str:
        """Folder of its files below the hub's."""
        return f"{self.cell_line}/{self.assay}/{self.model}/fold{self.fold}_seed{self.seed}"

    @property
    def trained(self) -> tuple[str, str, str]:
        """What was trained on what; folds and seeds of it share composites."""
        return self.cell_line, self.assay, self.model

    def files(self) -> dict[str, Path]:
        """Name of every file in the hub -> where it is now."""
        names = [*(f"{track}.bw" for track in self.tracks), "elements.bb", "links.bb"]
        return {f"{self.place}/{name}": self.folder / name for name in names}


def signal_place(cell_line: str, assay: str) -> str:
    """Path of a signal below the hub's folder."""
    return f"{cell_line}/signals/{assay}.bw"


def hub_tracks(
    runs: Sequence[HubRun], signals: Mapping[str, Mapping[str, Path]], folder: str
) -> Iterator[Stanza]:
    """Yield the stanza of every track, parents first.

    Parameters
    ----------
    runs
        In the order of the config. Of the folds and seeds of a model, the first is shown and the
        others are switched off.
    signals
        Cell line -> assay -> bigWig.
    folder
        Of the files, below that of hub.txt.
    """
    for stanza in _tracks(runs, signals):
        if "bigDataUrl" in stanza:
            stanza["bigDataUrl"] = f"{folder}/{stanza['bigDataUrl']}"
        yield stanza


def _tracks(
    runs: Sequence[HubRun], signals: Mapping[str, Mapping[str, Path]]
) -> Iterator[dict[str, str]]:
    for cell_line in dict.fromkeys([*signals, *(run.cell_line for run in runs)]):
        yield {
            "track": track_name(cell_line),
            "superTrack": "on show",
            **_labels(cell_line, f"{cell_line}: signals, masks and regulatory elements"),
        }
        if signals.get(cell_line):
            yield from _signals(cell_line, list(signals[cell_line]))
        own = [run for run in runs if run.cell_line == cell_line]
        for (_, assay, model), group in groupby(own, lambda run: run.trained):
            yield from _of_model(list(group), f"{model}, {cell_line} {assay}")


def _signals(cell_line: str, assays: Sequence[str]) -> Iterator[dict[str, str]]:
    parent = track_name(cell_line, "signals")
    yield {
        "track": parent,
        "compositeTrack": "on",
        "parent": track_name(cell_line),
        "type": "bigWig",
        **_labels("signals", f"{cell_line}: signals that the models read"),
        **_SIGNAL,
    }
    for assay in assays:
        yield {
            "track": track_name(parent, assay),
            "parent": f"{parent} on",
            "type": "bigWig",
            "bigDataUrl": signal_place(cell_line, assay),
            **_labels(NAMES[assay], f"{NAMES[assay]} in {cell_line}"),
            "color": rgb(COLOURS[assay]),
        }


def _of_model(runs: list[HubRun], said: str) -> Iterator[dict[str, str]]:
    first, model = runs[0], runs[0].model
    name = track_name(*first.trained)
    parent = {"parent": track_name(first.cell_line)}
    masks, elements = f"{name}_masks", f"{name}_elements"
    composite = {"compositeTrack": "on", **parent}
    kind = {"type": "bigWig"}
    labels = _labels(f"{model} mask", f"Masks of {said}")
    yield {"track": masks, **composite, **kind, **labels, **_MASK}
    for run in runs:
        for track in run.tracks:
            yield {
                "track": f"{masks}_{_run(run)}_{track}",
                "parent": f"{masks} {'on' if run is first else 'off'}",
                **kind,
                "bigDataUrl": f"{run.place}/{track}.bw",
                **_labels(
                    f"{_short(run)} {_TRACKS[track]}", f"{NAMES[track]} of {_title(run, said)}"
                ),
                "color": rgb(COLOURS[track]),
            }
    kind = {"type": "bigBed 6 +"}
    labels = _labels(f"{model} elements", f"Elements of {said}")
    yield {"track": elements, **composite, **kind, **labels, **_ELEMENTS}
    for run in runs:
        yield {
            "track": f"{elements}_{_run(run)}",
            "parent": f"{elements} {'on' if run is first else 'off'}",
            **kind,
            "bigDataUrl": f"{run.place}/elements.bb",
            **_labels(f"{_short(run)} elem", f"Elements of {_title(run, said)}"),
            "color": rgb(COLOURS["regions"]),
        }
    for run in runs:
        yield {
            "track": f"{name}_{_run(run)}_links",
            **parent,
            "type": "bigInteract",
            "bigDataUrl": f"{run.place}/links.bb",
            **_labels(f"{_short(run)} links", f"Elements and promoters: {_title(run, said)}"),
            **_LINKS,
            "visibility": "full" if run is first else "hide",
        }


_SIGNAL: dict[str, Any] = {
    "visibility": "full",
    "autoScale": "on",
    "maxHeightPixels": "100:32:8",
    "windowingFunction": "mean+whiskers",
}
_MASK = {
    "visibility": "full",
    "autoScale": "off",
    "viewLimits": "0:1",
    "maxHeightPixels": "100:32:8",
    "windowingFunction": "mean",
}
_ELEMENTS = {"visibility": "pack", "spectrum": "on"}
_TRACKS = {"mask": "mask", "sequence_part": "seq", "prior": "prior"}
_LINKS = {"interactDirectional": "true", "interactUp": "true", "maxHeightPixels": "200:60:20"}


def _run(run: HubRun) -> str:
    return f"f{run.fold}_s{run.seed}"


def _short(run: HubRun) -> str:
    return f"f{run.fold} s{run.seed}"


def _title(run: HubRun, said: str) -> str:
    return f"{said}, fold {run.fold}, seed {run.seed}"


def _labels(short: str, long: str) -> dict[str, str]:
    return {"shortLabel": short[:SHORT].rstrip(), "longLabel": long[:LONG].rstrip()}


def track_name(*words: str) -> str:
    """Name a track: letters, digits and underscores, a letter first."""
    name = re.sub(r"\W", "_", "_".join(words), flags=re.ASCII)
    return name if name[0].isalpha() else f"t_{name}"
