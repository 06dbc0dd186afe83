"""A server on this machine that answers as a portal does, from a table of addresses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Portal(ThreadingHTTPServer):
    """``answers``: path (without query) to what is answered.

    An answer is a JSON value, text, or (status, either); a list gives its answers one by one and
    repeats the last. Everything else is 404, as the ENCODE portal says it.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict = {}
        self.asked: list[str] = []
        """Every request's path, with its query."""
        self.url = f"http://127.0.0.1:{self.server_port}"

    def parameters(self, number: int = -1) -> dict[str, list[str]]:
        """The query of a request."""
        return parse_qs(urlsplit(self.asked[number]).query)


class _Handler(BaseHTTPRequestHandler):
    server: Portal

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answer = self.server.answers.get(urlsplit(self.path).path)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is None:
            answer = (404, {"@graph": [], "notification": "No results found"})
        status, content = answer if isinstance(answer, tuple) else (200, answer)
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve() -> Iterator[Portal]:
    """Start a portal, and stop it at the end."""
    with Portal() as portal:
        thread = threading.Thread(target=portal.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield portal
        portal.shutdown()
        thread.join()
