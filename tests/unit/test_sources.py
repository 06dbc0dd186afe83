"""Fetching: a real server on this machine, broken in every way that servers are."""

import hashlib
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from seq2exp.config import Source
from seq2exp.errors import UserError
from seq2exp.sources import address, fetch, source_filename

BODY = bytes(range(256)) * 400


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.files``: path -> body; ``server.cut`` bytes of it, then hangs up."""

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if self.path not in server.files:
            self.send_error(404)
            return
        body, start, status = server.files[self.path], 0, 200
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted and self.headers.get("If-Range") == server.etag:
            start, status = int(wanted[1]), 206
        if status == 206 and start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(status)
        if server.etag:
            self.send_header("ETag", server.etag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if self.path.endswith(".gz"):
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.etag, server.cut, server.ranges = {"/x.bw": BODY}, '"1"', None, []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_download_with_checks(server, tmp_path):
    source = Source(
        url=f"{server.url}/x.bw",
        bytes=len(BODY),
        md5=hashlib.md5(BODY).hexdigest(),
        sha256=hashlib.sha256(BODY).hexdigest(),
    )
    fetch(source, tmp_path / "deep" / "x.bw", name="cell_lines.K.dnase")
    assert (tmp_path / "deep" / "x.bw").read_bytes() == BODY
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.bw"]


def test_broken_download_goes_on_where_it_stopped(server, tmp_path):
    source = Source(url=f"{server.url}/x.bw", md5=hashlib.md5(BODY).hexdigest())
    server.cut = 40_000
    with pytest.raises(
        UserError, match=r"k\.dnase: http.*/x\.bw: (download failed|the connection)"
    ):
        fetch(source, tmp_path / "x.bw", name="k.dnase")
    assert not (tmp_path / "x.bw").exists()
    assert (tmp_path / "x.bw.part").stat().st_size == 40_000
    server.cut = None
    fetch(source, tmp_path / "x.bw", name="k.dnase")
    assert (tmp_path / "x.bw").read_bytes() == BODY
    assert server.ranges == [None, "bytes=40000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.bw"]


def test_part_of_an_older_version_is_not_continued(server, tmp_path):
    server.cut = 40_000
    with pytest.raises(UserError):
        fetch(Source(url=f"{server.url}/x.bw"), tmp_path / "x.bw", name="k")
    server.files["/x.bw"], server.etag, server.cut = BODY[::-1], '"2"', None
    fetch(Source(url=f"{server.url}/x.bw"), tmp_path / "x.bw", name="k")
    assert (tmp_path / "x.bw").read_bytes() == BODY[::-1]


def test_part_without_a_version_is_not_continued(server, tmp_path):
    (tmp_path / "x.bw.part").write_bytes(b"something else")
    fetch(Source(url=f"{server.url}/x.bw"), tmp_path / "x.bw", name="k")
    assert (tmp_path / "x.bw").read_bytes() == BODY
    assert server.ranges == [None]


def test_part_that_is_whole_already(server, tmp_path):
    (tmp_path / "x.bw.part").write_bytes(BODY)
    (tmp_path / "x.bw.part.version").write_text('"1"')
    fetch(Source(url=f"{server.url}/x.bw"), tmp_path / "x.bw", name="k")
    assert (tmp_path / "x.bw").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["x.bw"]


def test_compressed_transfer_stays_compressed(server, tmp_path):
    server.files["/x.gz"] = b"\x1f\x8b" + BODY
    fetch(Source(url=f"{server.url}/x.gz"), tmp_path / "x.gz", name="k")
    assert (tmp_path / "x.gz").read_bytes() == b"\x1f\x8b" + BODY


@pytest.mark.parametrize(
    ("path", "checks", "message"),
    [
        ("/absent", {}, r"g\.fasta: http://.*/absent answered 404 Not Found; correct the address"),
        ("/login", {}, r"g\.fasta: http://.*/login: an HTML page instead of the file"),
        ("/empty", {}, r"g\.fasta: http://.*/empty: an empty file"),
        ("/x.bw", {"bytes": 7}, r"102400 bytes, but bytes says 7; fetch again, or correct bytes"),
        ("/x.bw", {"md5": "0" * 32}, r"md5 is [0-9a-f]{32}, but the config says 0{32}"),
        ("/x.bw", {"sha256": "0" * 64}, r"sha256 is [0-9a-f]{64}, but the config says 0{64}"),
        ("/x.bw", {"member": "a"}, r"not a readable \.zip \(File is not a zip file\)"),
    ],
)
def test_refused(server, tmp_path, path, checks, message):
    server.files |= {"/login": b"<!DOCTYPE html><title>Log in</title>", "/empty": b""}
    with pytest.raises(UserError, match=message) as caught:
        fetch(Source(url=server.url + path, **checks), tmp_path / "x", name="g.fasta")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_no_server(tmp_path):
    with pytest.raises(
        UserError, match=r"k: http://127\.0\.0\.1:9/x: download failed \(no connecti"
    ):
        fetch(Source(url="http://127.0.0.1:9/x"), tmp_path / "x", name="k")


def test_member_of_an_archive(server, tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("data/../deep/table.csv", "a,b\n")
        archive.writestr("one/twin.csv", "1")
        archive.writestr("two/twin.csv", "2")
    server.files["/in.zip"] = (tmp_path / "in.zip").read_bytes()
    for place in ({"url": f"{server.url}/in.zip"}, {"path": str(tmp_path / "in.zip")}):
        fetch(Source(member="table.csv", **place), tmp_path / "out" / "t.csv", name="k")
        assert (tmp_path / "out" / "t.csv").read_text() == "a,b\n"
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["t.csv"]
    fetch(Source(path=str(tmp_path / "in.zip"), member="two/twin.csv"), tmp_path / "t", name="k")
    assert (tmp_path / "t").read_text() == "2"
    for member, count in (("nope.csv", "no"), ("twin.csv", "2")):
        with pytest.raises(
            UserError, match=rf"{count} file '{member}' in the archive, which has d"
        ):
            fetch(Source(path=str(tmp_path / "in.zip"), member=member), tmp_path / "u", name="k")
    assert not (tmp_path / "u").exists()


def test_local_files_are_copied_and_checked(tmp_path, monkeypatch):
    (tmp_path / "my file.bw").write_bytes(BODY)
    monkeypatch.chdir(tmp_path)
    for place in ("file://./my%20file.bw", f"file://{tmp_path}/my%20file.bw"):
        fetch(Source(url=place, bytes=len(BODY)), tmp_path / "copy.bw", name="k")
        assert (tmp_path / "copy.bw").read_bytes() == BODY
        (tmp_path / "copy.bw").unlink()
    with pytest.raises(UserError, match=r"k\.dnase: .*absent\.bw: no such file; correct the path"):
        fetch(Source(url="file://./absent.bw"), tmp_path / "copy.bw", name="k.dnase")
    assert [path.name for path in tmp_path.iterdir()] == ["my file.bw"]


@pytest.mark.parametrize(
    ("key", "extension"),
    [
        ("cell_lines.K562.dnase", "bigWig"),
        ("cell_lines.K562.expression.CAGE.bigwig", "bigWig"),
        ("cell_lines.K562.hic", "hic"),
        ("genome.blacklist", "bed.gz"),
        ("cell_lines.K562.expression.RNA.table", "tsv"),
    ],
)
def test_encode_addresses(key, extension):
    assert address(Source(encode="ENCFF465GBD"), key) == (
        f"https://www.encodeproject.org/files/ENCFF465GBD/@@download/ENCFF465GBD.{extension}"
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"url": "https://x.org/a/hg38.fa.gz?sig=/..%2f"}, "a.b.hg38.fa.gz"),
        ({"encode": "ENCFF465GBD"}, "a.b.ENCFF465GBD.bigWig"),
        ({"url": "https://x.org/z.zip", "member": "deep/../t x.csv"}, "a.b.t_x.csv"),
        ({"url": "https://x.org/.."}, "a.b"),
        ({"url": "https://x.org/a%2F..%2Fb;rm -rf"}, "a.b.a_2F.._2Fb_rm_-rf"),
        ({"path": "..\\..\\x.zip", "member": "..\\evil"}, "a.b.evil"),
    ],
)
def test_file_names_are_safe(source, expected):
    assert source_filename("a.b", Source(**source)) == expected
