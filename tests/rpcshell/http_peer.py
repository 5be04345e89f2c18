"""What a test's server of HTTP says, and that it logs nothing."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

JSON = "application/json"


class SayingHandler(BaseHTTPRequestHandler):
    """A handler whose connections go on, and that says whole responses."""

    protocol_version = "HTTP/1.1"

    def say(self, body: bytes, kind: str = JSON, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
