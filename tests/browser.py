"""Pages opened in a real browser: headless Chromium, where this machine has one."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SECONDS = 60
CHATTER = ('"Remove handler"',)
"""What igv.js tells the console where nothing is wrong; Chromium gives no levels."""

# Runs in the page: waits for it to have drawn, then writes down what a test asks about.
_ASK = """
<script>
(async () => {
  const answer = {}
  try {
    while (document.body.dataset.state !== "drawn") await new Promise((done) => setTimeout(done, 50))
    await new Promise((done) => setTimeout(done, 500))
    Object.assign(answer, await (async () => { %s })())
  } catch (error) { answer.error = String(error) }
  const pre = document.createElement("pre")
  pre.id = "answer"
  pre.textContent = JSON.stringify(answer)
  document.body.append(pre)
})()
</script>
</body>
"""


class Visit(NamedTuple):
    """What a page answered, and what it wrote to the console."""

    answer: dict[str, Any]
    console: list[str]


def visit(page: str, folder: Path, question: str, address: str | None = None) -> Visit:
    """Open a page without a network, and ask it something.

    Parameters
    ----------
    page
        HTML that sets ``data-state="drawn"`` of its body when it has drawn.
    folder
        Where the page and the browser's own files lie.
    question
        Body of an async function in JavaScript that returns an object.
    address
        Of the folder on a server of this machine; the page is opened from the disk without.
    """
    assert CHROMIUM is not None
    asking = folder / "asking.html"
    before, _, after = page.rpartition("</body>")  # igv.js holds the word too
    asking.write_text(before + _ASK % question + after, encoding="utf-8")
    command = [
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,1400"),
        *("--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
        *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000", "--dump-dom"),
        f"{address}/{asking.name}" if address else asking.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    console = [line for line in console if not any(said in line for said in CHATTER)]
    assert found, done.stderr[-3_000:]
    return Visit(json.loads(html.unescape(found[1])), console)


class _Handler(SimpleHTTPRequestHandler):
    """Files with byte ranges, which readers of bigWigs ask for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        self.send_response(206 if wanted else 200)
        if wanted:
            first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            content = content[first : last + 1]
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
