"""A small Kodi: what Introspect of Kodi 20 says of a few methods, and their answers, by what was seen on the wire."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

from tests.rpcshell.jsonrpc_peer import taken_from
from tests.rpcshell.peers import Peer

__all__ = ["INTROSPECT", "Kodi"]

STATES = ("Player", "Playlist", "GUI", "Application", "Other")
VOLUME = {"maximum": 100, "minimum": 0, "type": "integer"}

INTROSPECT: dict[str, Any] = {
    "description": "JSON-RPC API of XBMC",
    "id": "http://xbmc.org/jsonrpc/ServiceDescription.json",
    "version": "13.0.0",
    "methods": {
        "Application.SetVolume": {
            "description": "Set the current volume",
            "params": [
                {
                    "name": "volume",
                    "required": True,
                    "type": [VOLUME, {"$ref": "Global.IncrementDecrement"}],
                }
            ],
            "permission": "ControlPlayback",
            "returns": {"type": "integer"},
            "type": "method",
        },
        "JSONRPC.Ping": {"description": "Ping responder", "params": [], "returns": "string", "type": "method"},
        "JSONRPC.SetConfiguration": {
            "description": "Change the client-specific configuration",
            "params": [
                {
                    "additionalProperties": False,
                    "name": "notifications",
                    "properties": {state: {"$ref": "Optional.Boolean"} for state in STATES},
                    "type": "object",
                }
            ],
            "returns": {"$ref": "Configuration"},
            "type": "method",
        },
        "Player.Seek": {
            "description": "Seek through the playing item",
            "params": [
                {"$ref": "Player.Id", "name": "playerid", "required": True},
                {
                    "name": "value",
                    "required": True,
                    "type": [
                        {
                            "additionalProperties": False,
                            "properties": {
                                "percentage": {
                                    "$ref": "Player.Position.Percentage",
                                    "description": "Percentage value to seek to",
                                    "required": True,
                                }
                            },
                            "type": "object",
                        },
                        {
                            "additionalProperties": False,
                            "properties": {
                                "step": {
                                    "description": "Seek by predefined jumps",
                                    "enums": ["smallforward", "smallbackward"],
                                    "required": True,
                                    "type": "string",
                                }
                            },
                            "type": "object",
                        },
                    ],
                },
            ],
            "returns": {"type": "any"},
            "type": "method",
        },
        "VideoLibrary.Scan": {
            "description": "Scans the video sources for new library items",
            "params": [
                {"default": "", "name": "directory", "type": "string"},
                {"$ref": "Video.Fields.Movie", "name": "properties"},
                {"$ref": "Scan.Options", "name": "options"},
            ],
            "returns": {"type": "string"},
            "type": "method",
        },
    },
    "types": {
        "Configuration": {
            "id": "Configuration",
            "properties": {"notifications": {"required": True, "type": "object"}},
            "required": True,
            "type": "object",
        },
        "Global.IncrementDecrement": {"enums": ["increment", "decrement"], "id": "x", "type": "string"},
        "Item.Fields.Base": {"id": "Item.Fields.Base", "items": {"type": "string"}, "type": "array"},
        "Optional.Boolean": {"default": None, "id": "Optional.Boolean", "type": ["null", "boolean"]},
        "Player.Id": {"default": -1, "id": "Player.Id", "maximum": 2, "minimum": 0, "type": "integer"},
        "Player.Position.Percentage": {"id": "y", "maximum": 100, "minimum": 0, "type": "number"},
        "Scan.Base": {"id": "Scan.Base", "properties": {"deep": {"type": "boolean", "required": True}}},
        "Scan.Options": {
            "extends": ["Scan.Base"],
            "id": "Scan.Options",
            "properties": {"language": {"minLength": 2, "type": "string"}},
            "type": "object",
        },
        "Video.Fields.Movie": {
            "extends": "Item.Fields.Base",
            "id": "Video.Fields.Movie",
            "items": {"enums": ["title", "genre", "year"], "type": "string"},
        },
    },
    "notifications": {
        "Application.OnVolumeChanged": {
            "description": "The volume of the application has changed.",
            "params": [{"name": "sender", "required": True, "type": "string"}],
            "returns": None,
        },
        "Player.OnPlay": {"description": "Playback of a media item has been started.", "params": [], "returns": None},
    },
}


class Kodi:
    """Serves one connection after another.

    Attributes:
        hung: Set once a scan was asked for, which never ends.
    """

    def __init__(self) -> None:
        self.hung = threading.Event()

    def __call__(self, peer: Peer) -> None:
        # It reads from the first brace on, whatever comes before that.
        first = iter([re.sub(rb"^[^{]*", b"", peer.sock.recv(65536))])
        for request in taken_from("stream", lambda: next(first, None) or peer.sock.recv(65536)):
            for message in self.answers(request):
                peer.sock.sendall(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def answers(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        if "method" not in request or "id" not in request:
            return [{"id": None, "error": {"code": -32600, "message": "Invalid request."}}]
        params = request.get("params") or {}
        match request["method"]:
            case "JSONRPC.Introspect":
                result: Any = INTROSPECT
            case "JSONRPC.Ping":
                result = "pong"
            case "JSONRPC.Version":
                result = {"version": {"major": 13, "minor": 0, "patch": 0}}
            case "JSONRPC.SetConfiguration":
                result = {"notifications": {state: params["notifications"].get(state, True) for state in STATES}}
            case "Application.SetVolume" if isinstance(params["volume"], int):
                result = params["volume"]
                data = {"data": {"muted": False, "volume": result}, "sender": "xbmc"}
                changed = {"method": "Application.OnVolumeChanged", "params": data}
                return [changed, {"id": request["id"], "result": result}]
            case "Application.SetVolume":
                wrong = {"message": "Received value does not match any of the union type definitions", "name": "volume"}
                data = {"method": "Application.SetVolume", "stack": wrong}
                return [{"id": request["id"], "error": {"code": -32602, "message": "Invalid params.", "data": data}}]
            case "VideoLibrary.Scan":
                self.hung.set()
                return []
            case _:
                return [{"id": request["id"], "error": {"code": -32601, "message": "Method not found."}}]
        return [{"id": request["id"], "result": result}]
