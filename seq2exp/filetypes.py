"""What a file really is, by its first bytes: the check before any reader opens it."""

from __future__ import annotations

from pathlib import Path

from seq2exp.errors import UserError

MAGIC = {
    b"\x26\xfc\x8f\x88": "bigWig",
    b"\x88\x8f\xfc\x26": "bigWig",
    b"\xeb\xf2\x89\x87": "bigBed",
    b"\x87\x89\xf2\xeb": "bigBed",
    b"\x43\x27\x41\x1a": "2bit",
    b"\x89HDF": "HDF5",
    b"HIC\x00": "hic",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
}
"""First bytes of each format: UCSC bigWig/bigBed (either byte order) and .2bit, HDF5 (.cool, .mcool), .hic."""

_HTML = (b"<!doctype html", b"<html", b"<head", b"<?xml")


def kind_of(path: Path) -> str:
    """Name the kind of a file: a value of ``MAGIC``, ``html``, ``text``, ``binary`` or ``empty``.

    Raises
    ------
    UserError
        The file is missing, a folder, or may not be read.
    """
    try:
        with open(path, "rb") as handle:
            head = handle.read(512)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; correct the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give the path of a file") from None
    except PermissionError:
        raise UserError(f"{path}: permission denied; make the file readable") from None
    return kind_of_bytes(head)


def kind_of_bytes(head: bytes) -> str:
    """Name the kind of a file by its first bytes (512 are enough), as :func:`kind_of` does."""
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_HTML):
        return "html"
    if b"\0" in head:
        return "binary"
    return "text" if head else "empty"


def require_kind(path: Path, *expected: str) -> str:
    """Return the kind of a file, or say what it is instead.

    Raises
    ------
    UserError
        The kind is not one of ``expected``: names the file, what was found and the remedy.
    """
    kind = kind_of(path)
    if kind in expected:
        return kind
    wanted = " or ".join(expected)
    if kind == "empty":
        raise UserError(f"{path}: the file is empty; expected {wanted}; download or write it again")
    if kind == "html":
        raise UserError(
            f"{path}: an HTML page instead of {wanted} (an error or login page saved as data?); "
            "download the file itself"
        )
    raise UserError(f"{path}: not a {wanted} file (found {kind}); correct the path")
