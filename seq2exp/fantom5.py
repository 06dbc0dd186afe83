"""FANTOM5 CAGE libraries: the two bigWigs of a library, from the track hub's list of tracks.

Values are counts of CAGE tags by the base of their 5' end (CTSS), one file a strand.

Source: the hub's ``trackDb.txt`` (UCSC track hub format, https://genome.ucsc.edu/goldenPath/help/hgTrackHubHelp.html);
a track file is named ``{sample}.{library}.{RNA id}.{assembly}[...].ctss.{fwd|rev}.bw``.
"""

from __future__ import annotations

import difflib
import re
from urllib.parse import urljoin

from seq2exp.errors import UserError
from seq2exp.portals import Answers, RemoteFile

HUB = "https://fantom.gsc.riken.jp/5/datahub"
CITATION = "FANTOM5; cite Forrest et al. 2014 and, for hg38, Abugessaisa et al. 2017"
FOLDERS = {"GRCh38": "hg38", "hg19": "hg19", "mm10": "mm10"}
"""The hub's name of an assembly by ENCODE's."""
STRANDS = {"+": "fwd", "-": "rev"}
KEEP_DAYS = 30
"""The list is long, the same for all libraries, and does not change any more."""


def look_up(
    library: str, strand: str, *, key: str, assembly: str | None, answers: Answers
) -> RemoteFile:
    """Find the counts of one strand of a library.

    Parameters
    ----------
    library
        CNhs followed by five digits.
    strand
        ``+`` or ``-``.
    key
        Key of the source in the config, for messages.
    assembly
        GRCh38, hg19 or mm10.
    answers
        Where answers come from.

    Raises
    ------
    UserError
        FANTOM5 has nothing on the assembly, or not this library: names those with the next ids.
    """
    if assembly not in FOLDERS:
        raise UserError(
            f"{key}: FANTOM5 has tracks on hg38, hg19 and mm10, not on {assembly or 'this genome'}; "
            "give the track by url or path"
        )
    list_url = f"{HUB}/{FOLDERS[assembly]}/trackDb.txt"
    text = answers.text(list_url, key=key, keep_days=KEEP_DAYS)
    tracks = count_tracks(text or "", list_url)
    if not tracks:
        raise UserError(f"{key}: {list_url} lists no CTSS tracks; give the track by url or path")
    url = tracks.get((library, strand))
    if url is None:
        near = difflib.get_close_matches(library, {name for name, _ in tracks}, n=3)
        raise UserError(
            f"{key}: FANTOM5 has no counts of library {library}, strand {strand}, on {assembly} "
            f"(near it: {', '.join(sorted(near)) or 'none'}); correct the id"
        )
    return RemoteFile(
        accession=library,
        url=url,
        file_format="bigWig",
        assembly=assembly,
        output_type=f"CTSS counts, {STRANDS[strand]}",
        assay="CAGE",
        citation=CITATION,
    )


def count_tracks(text: str, base: str) -> dict[tuple[str, str], str]:
    """Read the CTSS count tracks of a ``trackDb.txt``.

    Parameters
    ----------
    text
        Its content: stanzas of ``key value`` lines, indented or not, with # comments.
    base
        Its address, for relative ``bigDataUrl``.

    Returns
    -------
    dict
        (library, strand) to the address; of several tracks of one file the first.
    """
    tracks: dict[tuple[str, str], str] = {}
    for line in text.splitlines():
        words = line.split(None, 1)
        if len(words) != 2 or words[0] != "bigDataUrl":
            continue
        url = urljoin(base, words[1].strip())
        found = re.search(r"/ctss/.*[./](CNhs\d+)\.[^/]*\.(fwd|rev)\.(?:bw|bigWig)$", url)
        if found:
            strand = "+" if found[2] == "fwd" else "-"
            tracks.setdefault((found[1], strand), re.sub("^http://fantom", "https://fantom", url))
    return tracks
