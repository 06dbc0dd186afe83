"""From the paths of a config's sources to what rules and commands read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seq2exp.config import Config
from seq2exp.label_config import StrandPair
from seq2exp.peaks_config import CalledPeaks
from seq2exp.source_config import Source


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
    keys = {"resolution", "normalization", "missing_normalization", "missing_chromosome"}
    return hic.model_dump(include=keys)


def called_peaks(config: Config) -> dict[str, dict[str, Any]]:
    """Settings of MACS3 for every cell line whose peaks it calls."""
    return {
        name: cell_line.peaks.macs3.model_dump()
        for name, cell_line in config.cell_lines.items()
        if isinstance(cell_line.peaks, CalledPeaks)
    }


def peaks_file(config: Config, paths: dict[str, str], cell_line: str) -> str | None:
    """Path of a cell line's DNase peaks, given or called; None where it has none."""
    if cell_line in called_peaks(config):
        return f"{config.results.rstrip('/')}/peaks/{cell_line}.narrowPeak"
    return paths.get(f"cell_lines.{cell_line}.peaks")


def _ends(track: Source | StrandPair) -> tuple[str, ...]:
    return (".forward", ".reverse") if isinstance(track, StrandPair) else ("",)
