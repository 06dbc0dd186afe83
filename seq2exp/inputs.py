"""From the sources that a config names to the files that rules and commands read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from seq2exp.config import Config, Source, StrandPair
from seq2exp.sources import source_filename


class Located(NamedTuple):
    """Where the file of every source is, or will be once it is fetched."""

    paths: dict[str, str]
    """Key of the config -> path: of the file itself where local, else of its fetched copy."""
    fetched: dict[str, tuple[str, Source]]
    """Name of a fetched copy -> first key of the config that names it, and where it comes from."""


def locate(config: Config) -> Located:
    """Find the path of every source; local files stay where they are, all else is fetched.

    A file that several keys share is fetched once.
    """
    located = Located({}, {})
    for key, source in config.sources():
        # Only what says where the file is: another resolution of a contact map is the same download.
        place = Source(**{field: getattr(source, field) for field in Source.model_fields})
        if place.path and not place.member:
            located.paths[key] = place.path
            continue
        known = [name for name, (_, other) in located.fetched.items() if other == place]
        name = known[0] if known else source_filename(key, place)
        located.fetched.setdefault(name, (key, place))
        located.paths[key] = f"{config.results.rstrip('/')}/sources/{name}"
    return located


def label_settings(config: Config, paths: dict[str, str], cell_line: str) -> dict[str, Any]:
    """Arguments of :class:`seq2exp.expression.LabelInputs` for every assay of a cell line."""
    settings = {}
    for assay in config.assays:
        label = config.cell_lines[cell_line].expression[assay]
        key = f"cell_lines.{cell_line}.expression.{assay}"
        # Plain values, which Snakemake can compare and hand to a script.
        given: dict[str, Any] = {"transform": label.transform}
        if label.table:
            given |= label.model_dump(include={"column", "id_column", "id_kind"})
            given["table"] = Path(paths[f"{key}.table"])
        else:
            given |= label.model_dump(include={"span", "strand"})
            names = [f".replicates.{i}" for i in range(len(label.replicates or ()))] or [".bigwig"]
            given["replicates"] = tuple(
                tuple(Path(paths[key + name + end]) for end in _ends(track))
                for name, track in zip(names, label.tracks(), strict=True)
            )
        settings[assay] = given
    return settings


def label_files(settings: dict[str, Any]) -> list[Path]:
    """Every file of the labels in :func:`label_settings`."""
    files: list[Path] = []
    for given in settings.values():
        files += [given["table"]] if "table" in given else sum(given["replicates"], ())
    return files


def hic_settings(config: Config, cell_line: str) -> dict[str, Any] | None:
    """How to read a cell line's contact map; None without one."""
    hic = config.cell_lines[cell_line].hic
    if hic is None:
        return None
    return hic.model_dump(include={"resolution", "normalization", "missing_chromosome"})


def _ends(track: Source | StrandPair) -> tuple[str, ...]:
    return (".forward", ".reverse") if isinstance(track, StrandPair) else ("",)
