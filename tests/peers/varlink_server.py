"""A varlink service with the Python package, for tests; its listening socket is the descriptor 3, as systemd has it.

Only its own process imports it: the package is not there where the extra `peers` is not installed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import varlink

FOLDER = Path(__file__).parent

service = varlink.Service(
    vendor="Example", product="music", version="2.1", url="http://example.org", interface_dir=str(FOLDER)
)


class Handler(varlink.RequestHandler):
    service = service


def refused(name: str, **parameters: str) -> varlink.VarlinkError:
    return varlink.VarlinkError({"error": name, "parameters": parameters})


@service.interface("org.example.music")
class Music:
    def Play(self, track: dict[str, Any], order: str | None = None, volume: Any = None) -> dict[str, str]:  # noqa: N802
        if track["title"] == "none":
            raise refused("org.example.music.NoSuchTrack", title="none")
        return {"playing": f"{track['title']} {order}"}

    def Watch(self, count: int, _more: bool = False) -> Iterator[dict[str, Any]]:  # noqa: N802
        if not _more:
            yield refused("org.varlink.service.ExpectedMore")
            return
        for position in range(count + 1):
            yield {"position": position, "_continues": position < count}

    def Hang(self, pipe: str) -> dict[str, str]:  # noqa: N802
        Path(pipe).write_text("x")
        time.sleep(1000)
        return {}


class Server(varlink.ThreadingServer):
    daemon_threads = True


if __name__ == "__main__":
    Server("", Handler).serve_forever()
