"""An ftp server on this machine, just large enough to download from, and to be cut off."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.start, self.listener = 0, None
        self.say("220 ready")
        for line in self.rfile:
            word, _, rest = line.decode().strip().partition(" ")
            self.server.commands.append(f"{word} {rest}".strip())
            if word == "QUIT":
                return
            getattr(self, f"do_{word.lower()}", self.unknown)(rest)

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())

    def unknown(self, _):
        self.say("502 not implemented")

    def do_user(self, _):
        self.say("331 password?")

    def do_pass(self, password):
        self.say("530 no" if password == "wrong" else "230 welcome")

    def do_type(self, _):
        self.say("200 binary")

    def do_size(self, path):
        content = self.server.files.get(path)
        self.say("550 no such file" if content is None else f"213 {len(content)}")

    def do_mdtm(self, path):
        self.say(f"213 {self.server.changed}" if self.server.changed else "502 not implemented")

    def finish(self):
        if self.listener:
            self.listener.close()
        super().finish()

    def do_pasv(self, _):
        if self.listener:
            self.listener.close()
        self.listener = socket.create_server(("127.0.0.1", 0))
        port = self.listener.getsockname()[1]
        self.say(f"227 passive (127,0,0,1,{port // 256},{port % 256})")

    def do_rest(self, start):
        if not self.server.restarts:
            return self.say("502 not implemented")
        self.start = int(start)
        self.say("350 go on")

    def do_retr(self, path):
        content = self.server.files.get(path)
        if content is None:
            return self.say("550 no such file")
        self.say("150 here it comes")
        data, _ = self.listener.accept()
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        piece = content[self.start :][:cut]
        with data, self.listener:
            data.sendall(piece)
        self.server.sent += len(piece)
        self.start = 0
        self.say("226 done" if cut is None else "426 connection closed")


class FtpServer(socketserver.ThreadingTCPServer):
    """Serves ``files`` (path -> body); ``cuts`` are the bytes after which transfers break."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.commands: list[str] = []
        self.cuts: list[int] = []
        self.changed = "20240101000000"
        self.restarts = True
        self.sent = 0
        self.url = f"ftp://127.0.0.1:{self.server_address[1]}"


@contextmanager
def ftp_server() -> Iterator[FtpServer]:
    with FtpServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
