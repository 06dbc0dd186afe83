"""The mask store: one row of per-base values a gene, memory-mapped, complete or absent.

A directory of ``masks.json`` and up to three float16 arrays of shape (genes, window length):
``mask.npy``, ``sequence_part.npy`` and ``prior.npy``. Row i covers
``[tss - length / 2, tss + length / 2)`` of gene i, on the + strand of the genome.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from seq2exp.errors import UserError
from seq2exp.schemas import PREDICTION_COLUMNS, read_table, whole_folder

TRACKS = ("mask", "sequence_part", "prior")
INDEX = "masks.json"
FORMAT = 1


class MaskStore(NamedTuple):
    """An open mask store; the arrays are read-only memory maps, float16 (genes, length)."""

    meta: dict[str, Any]
    """All of ``masks.json`` but the gene ids: ``window_length``, and what the writer gave."""
    gene_ids: list[str]
    mask: np.ndarray
    """Evaluation-mode mask, 1 on the promoter, 0 on the blacklist."""
    sequence_part: np.ndarray | None
    """alpha_1 / (alpha_1 + beta_1): what the sequence alone says."""
    prior: np.ndarray | None
    """alpha_2 / (alpha_2 + beta_2): what the signals alone say."""

    @property
    def length(self) -> int:
        """Window length, bp."""
        return int(self.mask.shape[1])

    def tracks(self) -> Iterator[tuple[str, np.ndarray]]:
        """Every stored track with its name."""
        for name in TRACKS:
            values = getattr(self, name)
            if values is not None:
                yield name, values


class MaskWriter:
    """Write a mask store row by row: beside its place first, renamed on a clean exit.

    Parameters
    ----------
    directory
        The store to create; an older store there is replaced when this one is whole.
    gene_ids
        One id a row, in order.
    length
        Window length, bp.
    tracks
        Any of ``mask`` (required), ``sequence_part`` and ``prior``.
    meta
        More facts for ``masks.json`` (model, cell line, ...); must be JSON.
    """

    def __init__(
        self,
        directory: Path,
        gene_ids: Sequence[str],
        length: int,
        *,
        tracks: Iterable[str] = TRACKS,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self._directory = Path(directory)
        self._gene_ids = list(gene_ids)
        self._length = length
        self._tracks = tuple(tracks)
        self._meta = dict(meta or {})
        self._stack = ExitStack()
        assert "mask" in self._tracks
        assert set(self._tracks) <= set(TRACKS)
        assert len(set(self._gene_ids)) == len(self._gene_ids)
        if not self._gene_ids:
            raise UserError(
                f"{self._directory}: no gene to keep a mask of; "
                "give prediction.mask_splits a split that has genes"
            )

    def __enter__(self) -> Self:
        files = [INDEX, *(f"{name}.npy" for name in TRACKS)]
        self._aside = self._stack.enter_context(whole_folder(self._directory, files))
        self._stack.push(self._finish)
        shape = (len(self._gene_ids), self._length)
        self._arrays = {
            name: np.lib.format.open_memmap(
                self._aside / f"{name}.npy", mode="w+", dtype=np.float16, shape=shape
            )
            for name in self._tracks
        }
        self._written = np.zeros(len(self._gene_ids), dtype=bool)
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.__exit__(*failure)

    def put(self, row: int, **values: np.ndarray) -> None:
        """Store one gene: every track of this store, each of shape (length,), in [0, 1]."""
        assert set(values) == set(self._tracks), f"{sorted(values)} for {self._tracks}"
        for name, track in values.items():
            assert track.shape == (self._length,)
            self._arrays[name][row] = track
        self._written[row] = True

    def _finish(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is not None:
            return
        assert self._written.all(), f"{int((~self._written).sum())} rows never written"
        for array in self._arrays.values():
            array.flush()
        index = {
            **self._meta,
            "format": FORMAT,
            "window_length": self._length,
            "tracks": list(self._tracks),
            "gene_ids": self._gene_ids,
        }
        (self._aside / INDEX).write_text(json.dumps(index, indent=1) + "\n")


def write_masks(
    directory: Path,
    gene_ids: Sequence[str],
    tracks: Mapping[str, np.ndarray],
    *,
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write a whole store at once from arrays of shape (genes, length), one a track."""
    length = tracks["mask"].shape[1]
    with MaskWriter(directory, gene_ids, length, tracks=tracks, meta=meta) as writer:
        for row in range(len(gene_ids)):
            writer.put(row, **{name: values[row] for name, values in tracks.items()})


def open_masks(directory: Path) -> MaskStore:
    """Open a mask store without reading its arrays.

    Raises
    ------
    UserError
        The directory is no mask store, of another format, or its arrays do not fit its index.
    """
    directory = Path(directory)
    try:
        index = json.loads((directory / INDEX).read_text())
    except FileNotFoundError:
        raise UserError(f"{directory}: no mask store ({INDEX} is missing); predict again") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{directory / INDEX}: not JSON ({error}); predict again") from None
    if index.get("format") != FORMAT:
        raise UserError(
            f"{directory / INDEX}: format {index.get('format')!r}, expected {FORMAT}; predict again"
        )
    gene_ids = index.pop("gene_ids")
    shape = (len(gene_ids), index["window_length"])
    arrays = {name: _open_track(directory / f"{name}.npy", shape) for name in index["tracks"]}
    return MaskStore(index, gene_ids, *(arrays.get(name) for name in TRACKS))  # type: ignore[arg-type]


def _open_track(path: Path, shape: tuple[int, int]) -> np.ndarray:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({error}); predict again") from None
    if values.shape != shape or values.dtype != np.float16:
        raise UserError(
            f"{path}: {values.dtype} {values.shape} instead of float16 {shape}; predict again"
        )
    return values


def masked_test_genes(predictions: Path, masks: MaskStore) -> set[str]:
    """Ids of the test genes of predictions.tsv that have a mask in the store."""
    table = read_table(predictions, PREDICTION_COLUMNS)
    return set(table.loc[table["split"] == "test", "gene_id"]) & set(masks.gene_ids)
