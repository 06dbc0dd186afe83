"""4DN files: the open copy that a record names."""

import pytest

from seq2exp.errors import UserError
from seq2exp.lockfile import SourceLock
from seq2exp.resolve import resolve
from seq2exp.source_config import Source

KEY = "cell_lines.H1.hic"
OPEN = "https://4dn-open-data-public.s3.amazonaws.com/fourfront-webprod/wfoutput/0/4DNFIFI6NIKJ.hic"


def record(**changes):
    """One file as ``/files-processed/{accession}/?format=json`` describes it."""
    return {
        "@type": ["FileProcessed", "File", "Item"],
        "accession": "4DNFIFI6NIKJ",
        "file_format": {"file_format": "hic", "display_title": "hic"},
        "file_size": 1_000,
        "genome_assembly": "GRCh38",
        "href": "/files-processed/4DNFIFI6NIKJ/@@download/4DNFIFI6NIKJ.hic",
        "md5sum": "0" * 31 + "1",
        "open_data_url": OPEN,
        "status": "released",
    } | changes


@pytest.fixture
def ask(portal, tmp_path):
    def ask(**changes):
        portal.answers["/files-processed/4DNFIFI6NIKJ/"] = record(**changes)
        return resolve(
            Source(fourdn="4DNFIFI6NIKJ"),
            key=KEY,
            assembly="hg38",
            cache_dir=tmp_path / "answers",
            lock=SourceLock(tmp_path / "lock.json"),
        )

    return ask


def test_open_copy_with_size_and_checksum(portal, ask):
    found = ask()
    assert (found.url, found.bytes, found.md5) == (OPEN, 1_000, "0" * 31 + "1")
    assert (found.file_format, found.assembly) == ("hic", "GRCh38")
    assert ask(open_data_url="changed") == found
    assert portal.asked == ["/files-processed/4DNFIFI6NIKJ/?format=json"]


def test_format_as_a_link(ask):
    assert ask(file_format="/file-formats/mcool/").file_format == "mcool"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"open_data_url": None}, r"has no open copy \(the portal asks for an account\); give the"),
        ({"genome_assembly": "GRCm38"}, r"is on GRCm38, but the genome is GRCh38; give the map on"),
    ],
)
def test_a_file_that_cannot_be_used(ask, changes, message):
    with pytest.raises(UserError, match=rf"^{KEY}: 4DN file 4DNFIFI6NIKJ {message}"):
        ask(**changes)


def test_no_such_file(portal, tmp_path):
    with pytest.raises(UserError, match=r"4DN file 4DNFIAAAAAAA does not exist; correct the acc"):
        resolve(
            Source(fourdn="4DNFIAAAAAAA"),
            key=KEY,
            assembly="hg38",
            cache_dir=tmp_path,
            lock=SourceLock(tmp_path / "lock.json"),
        )
