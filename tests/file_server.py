"""A file server on this machine that breaks in the ways that servers do, and counts what it sends."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html><title>Service temporarily unavailable</title>"


@dataclass(frozen=True)
class Answer:
    """How one request is answered; the default is what a good server does."""

    status: int = 200
    page: bytes = PAGE
    """Body of another status than 200."""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Bytes after which the connection is cut."""
    ranges: bool = True
    extra_length: int = 0
    """By how much Content-Length is too large."""


@dataclass
class Request:
    """What was asked for, and what of it was sent."""

    path: str
    start: int = 0
    sent: int = 0
    time: float = 0.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        server = self.server
        request = Request(self.path, time=time.monotonic())
        with server.guard:
            server.requests.append(request)
            answers = server.answers.get(self.path, [])
            answer = answers.pop(0) if answers else Answer()
        self.close_connection = True
        if callable(answer):
            answer = answer(server)
        if answer.status != 200 or self.path not in server.files:
            status = answer.status if answer.status != 200 else 404
            self._head(status, {"Content-Length": str(len(answer.page)), **answer.headers})
            self.wfile.write(answer.page)
            return
        content, tag = server.files[self.path], server.tags.get(self.path, '"1"')
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted and answer.ranges and self.headers.get("If-Range") == tag:
            request.start = int(wanted[1])
        headers = {"ETag": tag} if tag else {}
        if request.start >= len(content) > 0:
            headers["Content-Range"] = f"bytes */{len(content)}"
            self._head(416, headers | {"Content-Length": "0"})
            return
        status = 206 if request.start else 200
        if request.start:
            last = len(content) - 1
            headers["Content-Range"] = f"bytes {request.start}-{last}/{len(content)}"
        length = len(content) - request.start + answer.extra_length
        self._head(status, headers | {"Content-Length": str(length)} | answer.headers)
        if body:
            self._send(memoryview(content)[request.start :], request, answer.cut)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, content: memoryview, request: Request, cut: int | None) -> None:
        server = self.server
        content = content[:cut]
        for start in range(0, len(content), server.block):
            if server.pause:
                time.sleep(server.pause)
            try:
                self.wfile.write(content[start : start + server.block])
            except OSError:  # the client was killed
                return
            request.sent += len(content[start : start + server.block])

    def log_message(self, *_):
        pass


class FileServer(ThreadingHTTPServer):
    """Serves ``files`` (path -> body); ``answers`` (path -> list) sets the next answers to each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.answers: dict[str, list] = {}
        self.requests: list[Request] = []
        self.guard = threading.Lock()
        self.block = 1 << 16
        self.pause = 0.0
        """Seconds before every block."""
        self.url = f"http://127.0.0.1:{self.server_port}"

    def get_request(self):
        connection, address = super().get_request()
        # What is sent but was not received yet counts as sent: keep that small.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        return connection, address

    def starts(self, path: str) -> list[int]:
        """First byte of each answer to requests for a path."""
        return [request.start for request in self.requests if request.path == path]

    def sent(self, path: str) -> int:
        """Bytes of a file that were sent in all."""
        return sum(request.sent for request in self.requests if request.path == path)


@contextmanager
def file_server() -> Iterator[FileServer]:
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
