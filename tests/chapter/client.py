"""The client: one call is two writes and two reads."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any


def rpc(sock: socket.socket, in_: str, params: object) -> tuple[str, Any]:
    request = json.dumps({"in": in_, "params": params}).encode()
    sock.sendall(struct.pack("I", len(request)))
    sock.sendall(request)
    (length,) = struct.unpack("I", sock.recv(4))
    body = sock.recv(length)
    response = json.loads(body)
    return response["out"], response["result"]
