"""Column names of every table, table reading with checks, and writing that is whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import warnings
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from seq2exp.element_columns import ELEMENT_COLUMNS as ELEMENT_COLUMNS
from seq2exp.element_columns import SCORED_ELEMENT_COLUMNS as SCORED_ELEMENT_COLUMNS
from seq2exp.errors import UserError
from seq2exp.filetypes import require_kind

SPLITS = ("train", "valid", "test")

MRNA_FEATURES = (
    "UTR5LEN_log10zscore",
    "CDSLEN_log10zscore",
    "INTRONLEN_log10zscore",
    "UTR3LEN_log10zscore",
    "UTR5GC",
    "CDSGC",
    "UTR3GC",
    "ORFEXONDENSITY",
)
PROMOTER_ACTIVITY = "promoter_activity"

GENE_COLUMNS = ("gene_id", "gene_name", "chrom", "tss", "strand")
"""What every gene has; ``tss`` is one 0-based base."""
N_FRACTION = "n_fraction"
DROPPED_COLUMNS = (*GENE_COLUMNS, N_FRACTION, "reason")
STORE_GENE_COLUMNS = (*GENE_COLUMNS, "offset", "contact_phase")
PREDICTION_COLUMNS = (*GENE_COLUMNS, "split", "observed", "predicted", "mask_ratio")
VIEW_COLUMNS = ("view", "gene_id", "observed", "predicted", "mask_ratio", "skipped")
"""A test gene as a model saw it in one view; ``skipped`` says why a view has no genes."""
SCORE_COLUMNS = (
    *("chrom", "pos", "id", "ref", "alt", "start", "end"),
    *("gene_id", "gene_name", "strand", "distance_to_tss"),
    *("predicted_ref", "predicted_alt", "effect", "mask_ref", "mask_alt"),
    *("unmeasured_bp", "status", "reason"),
)
"""An allele in the window of a gene, or one that has no score, and why: docs/variants.md."""
SCORE_TEXT = ("id", "ref", "alt", "status")
CRISPRI_COLUMNS = {
    "chrom": "chrom",
    "start": "chromStart",
    "end": "chromEnd",
    "gene_name": "measuredGeneSymbol",
    "tss_start": "startTSS",
    "tss_end": "endTSS",
    "cell_line": "CellType",
    "valid": "ValidConnection",
    "regulated": "Regulated",
}
"""Our name of each column of a CRISPRi screen that is read -> its name in ENCODE's tables."""
PLAIN_CRISPRI_COLUMNS = ("chrom", "start", "end", "gene_name", "gene_tss", "cell_line", "regulated")
"""What a CRISPRi table of one's own needs; ``valid`` may be there too."""
PAIR_COLUMNS = ("chrom", "start", "end", "gene_name", "distance", "regulated")
"""A tested element with a gene; ``distance`` is from the element's middle to the TSS, bp."""
LINK_COLUMNS = ("chrom", "start", "end", "gene_name", "score")
"""A predicted element with a gene; the higher the score, the likelier it acts on it."""
FDR_COLUMNS = ("track", "value", "real_bases", "shuffled_bases", "fdr", "cut")
"""Bases of real and of shuffled windows at or above a mask value; ``cut`` is 1 where regions begin."""
HISTORY_COLUMNS = (
    "step",
    "learning_rate",
    "train_loss",
    "train_kl",
    "valid_loss",
    "valid_mse",
    "valid_mae",
    "valid_pearson",
    "valid_mask_ratio",
    "seconds",
)

STEP_TIME_COLUMNS = (
    *("kind", "device", "machine", "window_length", "d_model", "layers", "batch"),
    *("step_seconds", "predict_seconds", "step_mb", "date", "command"),
)
"""One measured model a row: a training step and a prediction of ``batch`` windows, and the memory of
the step beyond weights and input; ``device`` is cpu or gpu, ``layers`` are of width ``d_model``."""
RUN_KEYS = ("cell_line", "assay", "model", "kind", "fold", "seed")
"""What tells one run from another, in its figures (JSON) and in the index of its masks."""
CHECK_COLUMNS = ("cell_line", "item", "figure", "value")
"""One number, word or sentence of the check of a cell line's data a row."""

_VERSION = re.compile(r"\.\d+(?=$|_PAR_Y$)")
_TEXT = re.compile(r"gene_id|gene_name|chrom|strand|split|name|reason|view|skipped|fold\d+")
_UNREADABLE = (
    pd.errors.ParserError,
    pd.errors.ParserWarning,
    pd.errors.EmptyDataError,
    EOFError,
    zlib.error,
)
_MISSING = ["", "NA", "NaN", "nan"]


def fold_column(fold: int) -> str:
    """Name the column of ``folds.tsv`` that holds the splits of one fold."""
    return f"fold{fold}"


def label_column(assay: str) -> str:
    """Name the column of the store's ``genes.tsv`` that holds the labels of one assay."""
    return f"label_{assay}"


def strip_version(gene_id: str) -> str:
    """Drop the version of an Ensembl id: ``ENSG1.15`` is ``ENSG1``, ``ENSG1.15_PAR_Y`` its copy."""
    return _VERSION.sub("", gene_id)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place only if the block succeeds.

    The temporary name keeps the extension, by which writers choose format and compression.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, files: Collection[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` that takes its place only if the block succeeds.

    Parameters
    ----------
    path
        The folder to create; an older one is replaced.
    files
        Every name that such a folder may hold.

    Raises
    ------
    UserError
        ``path`` holds a file of another name, which replacing it would delete.
    """
    path = Path(path)
    if path.exists():
        foreign = sorted(entry.name for entry in path.iterdir() if entry.name not in files)
        if foreign:
            raise UserError(f"{path}: holds {foreign[0]!r}, not written here; move it elsewhere")
    temporary = path.with_name(f".tmp-{secrets.token_hex(4)}-{path.name}")
    old = temporary.with_suffix(".old")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table whole: tab-separated (comma where the name ends in .csv), 8 digits, NaN empty."""
    with whole_file(path) as temporary:
        frame.to_csv(
            temporary,
            sep=separator(path),
            index=False,
            float_format="%.8g",
            lineterminator="\n",
        )


def read_table(
    path: Path, columns: Iterable[str] = (), *, text: Collection[str] = ()
) -> pd.DataFrame:
    """Read a table with a header line; .csv is comma-separated, all else tab; .gz is unpacked.

    Separators at the end of lines, which some tables have below the header only, are no column.

    Parameters
    ----------
    path
        The table.
    columns
        The columns that must be there.
    text
        Columns to keep as text beside ids, names, chromosomes, strands, splits and folds
        (a chromosome ``1`` stays ``"1"``, a gene ``NA`` stays ``"NA"``, an empty cell ``""``).

    Raises
    ------
    UserError
        Not a table, or a required column is missing: names the file and the columns it has.
    """
    path = Path(path)
    header = read_header(path)
    missing = [column for column in columns if column not in header]
    if missing:
        raise UserError(f"{path}: no column {missing[0]!r}; the columns are {', '.join(header)}")
    doubled = sorted({column for column in header if header.count(column) > 1})
    if doubled:
        raise UserError(f"{path}: column {doubled[0]!r} occurs twice; rename or remove one")
    kept = {column for column in header if column in text or _TEXT.fullmatch(column)}
    surplus = _empty_surplus(path, header)
    with _parsing(path):
        table = pd.read_csv(
            path,
            sep=separator(path),
            header=0,
            names=[*header, *surplus],
            dtype=dict.fromkeys([*kept, *surplus], "str"),
            keep_default_na=False,
            na_values={column: _MISSING for column in header if column not in kept},
            index_col=False,
            encoding="utf-8-sig",
        )
    if (table[surplus].fillna("") != "").any(axis=None):
        raise UserError(f"{path}: not a readable table (a line is longer than the header); correct")
    return table[header]


def read_header(path: Path) -> list[str]:
    """Read the column names of a table without reading the table."""
    return _read_line(path, skip=0)


def require_pair_columns(header: list[str], path: Path) -> bool:
    """Tell whether a table of CRISPRi pairs has ENCODE's columns, or else the plain ones.

    Raises
    ------
    UserError
        It has neither all of the ones nor all of the others: names the first that is missing.
    """
    encode = CRISPRI_COLUMNS["start"] in header
    needed = CRISPRI_COLUMNS.values() if encode else PLAIN_CRISPRI_COLUMNS
    missing = [column for column in needed if column not in header]
    if missing:
        raise UserError(
            f"{path}: no column {missing[0]!r}; pairs need {', '.join(needed)}"
            f"{'' if encode else ', or the columns of an ENCODE benchmark'}; the columns are "
            f"{', '.join(header)}"
        )
    return encode


def _empty_surplus(path: Path, header: list[str]) -> list[str]:
    """Names for the empty fields that the first line has beyond the header."""
    surplus = _read_line(path, skip=1)[len(header) :]
    return [] if any(surplus) else [f"beyond the header {n}" for n in range(len(surplus))]


def _read_line(path: Path, skip: int) -> list[str]:
    """Fields of the first line after those skipped; none at the end of the file."""
    require_kind(path, "text", "gzip")
    with _parsing(path):
        try:
            line = pd.read_csv(
                path,
                sep=separator(path),
                skiprows=skip,
                nrows=1,
                header=None,
                dtype="str",
                keep_default_na=False,
                encoding="utf-8-sig",
            )
        except pd.errors.EmptyDataError:
            if skip:
                return []
            raise
    return [str(field) for field in line.iloc[0]]


def numbers(frame: pd.DataFrame, column: str, path: Path, *, whole: bool = False) -> np.ndarray:
    """Return a column as float64 (int64 if ``whole``); NaN where a cell is empty (not if ``whole``).

    Raises
    ------
    UserError
        A cell is not a number: names the file, the line, the column and the value.
    """
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = np.isnan(values) if whole else np.isnan(values) & frame[column].notna().to_numpy()
    if whole:
        wrong |= values != np.floor(values)
    if wrong.any():
        # The index, not the position: rows of the file may have been left out before.
        line, cell = frame.index[wrong][0] + 2, frame.loc[wrong, column].tolist()[0]
        kind = "whole number" if whole else "number"
        raise UserError(
            f"{path}: line {line}, column {column!r}: {cell!r} is not a {kind}; correct the cell"
        )
    return values.astype(np.int64) if whole else values


def separator(path: Path) -> str:
    """Return a comma for .csv and .csv.gz, a tab for every other name."""
    return "," if Path(path).name.lower().endswith((".csv", ".csv.gz")) else "\t"


@contextmanager
def _parsing(path: Path) -> Iterator[None]:
    """Turn every way in which parsing fails into one line."""
    try:
        with warnings.catch_warnings():
            # pandas only warns where a line is longer than the header, and drops the surplus.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except (*_UNREADABLE, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "unreadable"
        raise UserError(f"{path}: not a readable table ({reason}); correct the file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; save the table as plain text") from None
