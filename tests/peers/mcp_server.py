"""An MCP server with the protocol's own Python SDK, for tests: `python mcp_server.py stdio`, or `http PORT-FILE`,
which has the transport of 2024-11-05 too (/sse).

Only its own process imports it: the SDK is not there where the extra `peers` is not installed.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from enum import Enum
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import Completion, ElicitRequest, ElicitRequestFormParams, InputRequiredResult, ToolAnnotations
from pydantic import BaseModel

server = MCPServer("calc", version="3.1", log_level="ERROR")


class Colour(Enum):
    red = "red"
    green = "green"


class Door(BaseModel):
    colour: Colour
    width: int = 80


class Answer(BaseModel):
    name: str
    sure: bool = True


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@server.tool(structured_output=False)
def echo(message: str) -> str:
    """Say it again."""
    return message


@server.tool()
def paint(door: Door, coats: list[int] | None = None) -> dict[str, str]:
    """Paint a door.

    More words.
    """
    return {"painted": door.colour.value}


@server.tool()
def boom() -> str:
    """Fail."""
    raise ValueError("it went off")


@server.tool()
async def count(n: int, ctx: Context) -> str:
    """Count, and tell how far it has come."""
    for number in range(n):
        await ctx.report_progress(number, n, f"at {number}")
    return "done"


awake = asyncio.Event()
awake.set()


@server.tool()
async def sleep() -> str:
    """Never end; who waits at a pipe is told that it has begun."""
    awake.clear()
    if (called := Path("called")).is_fifo():
        called.write_text("!")
    try:
        await asyncio.Event().wait()
    finally:
        awake.set()
    return ""


@server.tool()
async def was_cancelled() -> bool:
    """Wait until nobody sleeps."""
    await awake.wait()
    return True


@server.tool()
async def ask(ctx: Context) -> str:
    """Ask for a name."""
    found = await ctx.elicit("who are you?", Answer)
    return f"{found.action} {found.data.name}" if found.action == "accept" else found.action


@server.tool(structured_output=False)
async def ask_again(ctx: Context) -> str | InputRequiredResult:
    """Ask for a name, as it is done without a session."""
    if not (given := ctx.input_responses):
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        request = ElicitRequest(params=ElicitRequestFormParams(message="who are you?", requested_schema=schema))
        return InputRequiredResult(input_requests={"who": request}, request_state="asked")
    answer = given["who"]
    return f"{answer.action} {answer.content['name']}"


@server.tool()
async def learn(ctx: Context) -> str:
    """Have one tool more from now on."""
    server.add_tool(echo, name="learnt", structured_output=False)
    if ctx.request_context.protocol_version >= "2026":
        await ctx.notify_tools_changed()
    else:
        await ctx.session.send_tool_list_changed()
    return "learnt"


@server.tool(structured_output=False)
def chatter() -> str:
    """Print where it should not."""
    for line in ("starting", "42", '{"level": "info", "error": "none"}', '"a text"', "[1]"):
        print(line, file=sys.__stdout__, flush=True)
    print("to the log", file=sys.stderr, flush=True)
    return "printed"


@server.prompt()
def greet(who: str, how: str = "hi") -> str:
    """Greet somebody."""
    return f"{how} {who}"


@server.resource("note://{name}", name="note")
def note(name: str) -> str:
    """A note."""
    return f"about {name}"


@server.resource("config://main", name="settings", mime_type="application/json")
def settings() -> str:
    """The settings."""
    return '{"depth": 3}'


@server.completion()
async def complete(ref: object, argument: object, context: object) -> Completion:
    typed = argument.value  # type: ignore[attr-defined]
    return Completion(values=[name for name in ("Ada", "Alan", "Grace") if name.startswith(typed)])


def main() -> None:
    if sys.argv[1] == "stdio":
        server.run()
        return
    import uvicorn

    sock = socket.create_server(("127.0.0.1", 0))
    Path(sys.argv[2]).write_text(str(sock.getsockname()[1]))
    app = server.streamable_http_app()
    app.router.routes += server.sse_app().routes
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[sock])


if __name__ == "__main__":
    main()
