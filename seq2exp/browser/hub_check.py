"""Whether a browser can show a hub: what UCSC's hubCheck asks, as far as it can be asked offline.

Hubs in one file (``useOneFile on``) are meant, which are what :mod:`seq2exp.browser.hub` writes. Sources: https://genome.ucsc.edu/goldenPath/help/hgTrackHubHelp.html (files and settings) and
https://genome.ucsc.edu/goldenPath/help/trackDb/trackDbHub.html (tracks). Files are read with another
library than wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyBigWig

from seq2exp.browser.bed_rules import bed_problems, colour_is_good, interact_problems
from seq2exp.browser.stanzas import Stanza, read_stanzas
from seq2exp.errors import UserError
from seq2exp.filetypes import kind_of

HUB_SETTINGS = ("hub", "shortLabel", "longLabel", "useOneFile", "email")
TRACK_SETTINGS = ("shortLabel", "longLabel")
ASSEMBLY_SETTINGS = ("twoBitPath", "organism", "defaultPos", "description")
VISIBILITIES = ("hide", "dense", "squish", "pack", "full")
KINDS = {"bigWig": "bigWig", "bigBed": "bigBed", "bigInteract": "bigBed"}
"""Type of a track -> what its file is by its first bytes."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_FIELD = re.compile(r"^\s*[\w\[\]]+\s+\w+\s*;", re.MULTILINE)
"""A column in autoSql: its type, its name, a semicolon."""


def hub_problems(hub: Path, sizes: Mapping[str, int]) -> list[str]:
    """Say everything that keeps a browser from showing a hub; nothing where it is good.

    Parameters
    ----------
    hub
        Folder of hub.txt.
    sizes
        Length of each chromosome of its genome.
    """
    try:
        return list(_hub_problems(hub, sizes))
    except (UserError, UnicodeDecodeError) as error:
        return [str(error)]


def _hub_problems(hub: Path, sizes: Mapping[str, int]) -> Iterator[str]:
    if not (hub / "hub.txt").is_file():
        yield "hub.txt: no such file"
        return
    stanzas = read_stanzas(hub / "hub.txt")
    if [next(iter(stanza)) for stanza in stanzas[:2]] != ["hub", "genome"]:
        yield "hub.txt: must begin with a stanza hub and a stanza genome"
        return
    settings, genome, *tracks = stanzas
    yield from _missing("hub.txt", settings, HUB_SETTINGS)
    if settings.get("useOneFile", "on") != "on":
        yield "hub.txt: useOneFile must be on"
    if not re.fullmatch(r"\S+", settings["hub"]):
        yield f"hub.txt: hub {settings['hub']!r} must be one word"
    if "@" not in settings.get("email", "@"):
        yield f"hub.txt: email {settings['email']!r} is no address"
    if "descriptionUrl" in settings:
        yield from _file_problems(hub, settings["descriptionUrl"], "hub.txt: descriptionUrl")
    if "twoBitPath" in genome:
        yield from _missing("hub.txt: genome", genome, ASSEMBLY_SETTINGS)
        yield from _file_problems(hub, genome["twoBitPath"], "hub.txt: twoBitPath", "2bit")
    yield from _tracks_problems(hub, tracks, sizes)


def _tracks_problems(
    hub: Path, tracks: Sequence[Stanza], sizes: Mapping[str, int]
) -> Iterator[str]:
    if not tracks:
        yield "hub.txt: no track"
    known: dict[str, Stanza] = {}
    for track in tracks:
        name = track.get("track", "?")
        if name in known:
            yield f"track {name}: there are two of this name"
        for problem in _track_problems(hub, track, known, sizes):
            yield f"track {name}: {problem}"
        known[name] = track
    parents = {track.get("parent", "").split(" ")[0] for track in tracks}
    for name, track in known.items():
        if "bigDataUrl" not in track and name not in parents:
            yield f"track {name}: neither a file nor tracks below it"


def _track_problems(
    hub: Path, track: Stanza, known: Mapping[str, Stanza], sizes: Mapping[str, int]
) -> Iterator[str]:
    if next(iter(track)) != "track":
        yield "a stanza must begin with track"
    if not _NAME.fullmatch(track.get("track", "")):
        yield "a name is of letters, digits and _, a letter first"
    yield from (f"no {key}" for key in TRACK_SETTINGS if key not in track)
    if track.get("visibility", "hide") not in VISIBILITIES:
        yield f"visibility {track['visibility']!r} is none of {', '.join(VISIBILITIES)}"
    if "color" in track and not colour_is_good(track["color"]):
        yield f"color {track['color']!r}"
    kind, *columns = track.get("type", "").split(" ")
    if "parent" in track:
        yield from _parent_problems(track, known)
    if "bigDataUrl" not in track:
        if not {"superTrack", "compositeTrack"} & set(track):
            yield "no bigDataUrl"
        return
    if kind not in KINDS:
        yield f"type {kind!r} is none of {', '.join(KINDS)}"
        return
    url = track["bigDataUrl"]
    broken = list(_file_problems(hub, url, "bigDataUrl", KINDS[kind]))
    yield from broken or _data_problems(hub / url, kind, columns, sizes)


def _parent_problems(track: Stanza, known: Mapping[str, Stanza]) -> Iterator[str]:
    name, *switch = track["parent"].split(" ")
    parent = known.get(name)
    if parent is None:
        yield f"no track {name} above it"
        return
    if not {"superTrack", "compositeTrack"} & set(parent):
        yield f"{name}, its parent, is neither a superTrack nor a compositeTrack"
    if switch and switch not in (["on"], ["off"]):
        yield f"parent {track['parent']!r}: on or off after the name"
    if "compositeTrack" in parent and parent.get("type") != track.get("type"):
        yield f"type {track.get('type')!r} below a composite of type {parent.get('type')!r}"


def _file_problems(hub: Path, url: str, place: str, kind: str | None = None) -> Iterator[str]:
    """Whether a file is there, below the hub's folder, and what it should be."""
    path = hub / url
    if "://" in url or not path.resolve().is_relative_to(hub.resolve()):
        yield f"{place} {url}: not below the hub's folder"
    elif not path.is_file():
        yield f"{place} {url}: no such file"
    elif kind is not None and kind_of(path) != kind:
        yield f"{place} {url}: not {kind} (found {kind_of(path)})"


def _data_problems(
    path: Path, kind: str, columns: list[str], sizes: Mapping[str, int]
) -> Iterator[str]:
    """Whether a file holds data of this genome, and a bigBed what its type says."""
    try:
        data = pyBigWig.open(str(path))
    except RuntimeError:
        yield f"{path.name}: cannot be read"
        return
    with data:
        found = data.chroms()
        wrong = [name for name, length in found.items() if sizes.get(name, length) != length]
        if wrong:
            yield f"{path.name}: {wrong[0]} has {found[wrong[0]]} bp, not {sizes[wrong[0]]}"
        elif not set(found) & set(sizes):
            yield f"{path.name}: none of the genome's chromosomes"
        elif kind != "bigWig":
            rows = [
                (chrom, str(start), str(end), *rest.split("\t"))
                for chrom, length in sorted(found.items())
                for start, end, rest in data.entries(chrom, 0, length) or ()
            ]
            described = len(_FIELD.findall(data.SQL().decode()))
            if rows and described != len(rows[0]):
                yield f"{path.name}: {len(rows[0])} columns, its autoSql describes {described}"
            if kind == "bigInteract":
                yield from interact_problems(rows, found)
            else:
                yield from bed_problems(rows, found, min(int(next(iter(columns), 3)), 6))


def _missing(place: str, settings: Stanza, keys: tuple[str, ...]) -> Iterator[str]:
    yield from (f"{place}: no {key}" for key in keys if key not in settings)
