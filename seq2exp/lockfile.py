"""``sources.lock.json``: which bytes a source was when it was first used, for every later download.

Users commit the file, so that another machine, or the same one next year, gets the same files or an
error, never silently others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Self

from filelock import FileLock
from pydantic import Field, ValidationError, model_validator

from seq2exp.config_types import PositiveInt, Strict
from seq2exp.errors import UserError
from seq2exp.schemas import whole_file

FORMAT = 1


class LockEntry(Strict):
    """One pinned file, as it is served (of a ``member``, the archive)."""

    url: str
    bytes: PositiveInt
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    """More about the file (JSON values); of ENCODE files the accession and what it measures."""

    @model_validator(mode="after")
    def _verifiable(self) -> Self:
        if not (self.md5 or self.sha256):
            raise ValueError("give md5 or sha256")
        return self


class SourceLock:
    """The entries of one lock file; several processes may use it at once.

    A key is the URL of a source, or the query behind an ENCODE file. Every call looks at the file
    anew, and a file that is not there has no entries.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def keys(self) -> set[str]:
        """Return the keys of all entries."""
        return set(self._load())

    def get(self, key: str) -> LockEntry | None:
        """Return the entry of a key, None if there is none.

        Raises
        ------
        UserError
            The file cannot be read, or the entry is not one.
        """
        raw = self._load().get(key)
        if raw is None:
            return None
        try:
            return LockEntry.model_validate(raw)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(map(str, (key, *problem["loc"])))
            raise UserError(
                f"{self.path}: {where}: {problem['msg']}; remove the entry to pin the file anew"
            ) from None

    def record(self, key: str, entry: LockEntry) -> None:
        """Write an entry, in place of an older one of the key; the others are kept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            sources = self._load()
            new = entry.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
            if sources.get(key) == new:
                return
            content = {"format": FORMAT, "sources": sources | {key: new}}
            with whole_file(self.path) as temporary:
                temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")

    def _load(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.path}: cannot be read ({error}); restore it from version control, or "
                "remove it to pin all files anew"
            ) from None
        sources = content.get("sources") if isinstance(content, dict) else None
        if not isinstance(sources, dict) or content.get("format") != FORMAT:
            raise UserError(
                f"{self.path}: not a lock file of format {FORMAT}; correct downloads.lock_file, or "
                "remove the file to pin all files anew"
            )
        return sources
