"""The whole screen as rows of styled text, made of the state that `dashboard` keeps. No terminal in here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from rpcshell.lab.top.columns import choose, level_style, row, titles
from rpcshell.lab.top.rows import BOLD, Row, help_screen, key_row, row_width, screen, selected
from rpcshell.view.bars import bar, sparkline
from rpcshell.view.escape import visible
from rpcshell.view.pretty import STRING
from rpcshell.view.styles import ERROR, FAINT, HIGH
from rpcshell.view.units import brief_duration, brief_rate, count_of, duration
from rpcshell.view.width import cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcshell.lab.top.dashboard import Dashboard
    from rpcshell.lab.top.feed import Picture
    from rpcshell.servers.log import LogRecord
    from rpcshell.view.pretty import Fragment
    from rpcwire.control import ListenerStatus, ServerStatus

_BETWEEN: Final = " · "

_LONGEST_HISTORY: Final = 60
_GAUGE: Final = 16
_FEWEST_ROWS: Final = 3
"""Workers that are seen whatever else there would be to say."""

_HELP: Final = (
    ("↑ ↓ j g G", "select a worker"),
    ("s S", "sort by the next column, or back"),
    ("r", "turn the order round"),
    ("k", "kill: TERM or KILL, asks first"),
    ("+ -", "one worker more or less"),
    ("R", "rolling reload, loses no call"),
    ("Enter", "last log lines of the worker"),
    ("Ctrl-Z", "suspend the shell"),
    ("q Esc", "leave; Ctrl-C, Ctrl-D too"),
)
"""The keys, and what they do."""

_READING: Final = (
    "CALL: what runs now, since when, and how many more",
    "CONN: open connections",
    "CALLS/s, BUSY: of the last two seconds",
    "LATELY: calls/s of the last half minute, all workers to one scale",
    "queue: connections that wait for a worker, of those that may",
    "lost: calls that workers were in when they died",
)

_KEYS: Final = (
    ("q", "quit"),
    ("?", "help"),
    ("k", "kill"),
    ("s", "sort"),
    ("+-", "scale"),
    ("↑↓", "select"),
    ("R", "reload"),
    ("Enter", "log"),
    ("r", "reverse"),
)
"""The keys at the bottom by how much they matter."""

_SHOWN_ORDER: Final = ("↑↓", "s", "r", "k", "+-", "R", "Enter", "?", "q")


def draw(board: Dashboard, rows: int, columns: int) -> list[Fragment]:
    """The screen, without a newline at its end."""
    if board.with_help:
        return help_screen(_HELP, _READING, rows, columns)
    return screen(_body(board, rows - 1, columns), _bottom(board, columns), rows, columns)


def _body(board: Dashboard, rows: int, columns: int) -> list[Row]:
    """All above the bottom row."""
    picture = board.news.picture
    problem = _problem(board)
    if picture is None:
        return [*problem, *([] if problem else [[(FAINT, f"asking {board.name} what it does…")]])]
    head = [*problem, *_head(board, picture, columns)]
    log = _log(board, rows // 3) if board.with_details else []
    # One row has the titles.
    head = head[: max(rows - len(log) - 1 - min(len(board.lines), _FEWEST_ROWS), 1)]
    return [*head, *_table(board, picture, max(rows - len(head) - len(log) - 1, 0), columns), *log]


def _problem(board: Dashboard) -> list[Row]:
    """What is said of a server that does not answer."""
    news = board.news
    if news.problem is None:
        return []
    since = f" for {brief_duration(news.silent)}" if news.silent >= 1 else ""
    waiting: Row = [(ERROR, f"no answer{since}, waiting"), ("", f": {visible(news.problem)}")]
    return [waiting, *([[(FAINT, "below is what was known last")]] if news.picture is not None else [])]


def _head(board: Dashboard, picture: Picture, columns: int) -> list[Row]:
    """What there is to say of the server as a whole."""
    status = picture.status
    totals = status.totals
    about: list[Row] = [
        [(BOLD, visible(board.name))],
        [("", visible(status.app or "the demo"))],
        [("", f"{visible(status.model)} model")],
        [("", f"pid {status.pid}")],
        [("", f"up {duration(status.uptime)}")],
    ]
    if status.phase != "running":
        about.append([(HIGH, visible(status.phase))])
    if (registration := status.registration) is not None:
        about.append([("" if registration.state == "registered" else HIGH, visible(registration.summary))])
    calls: list[Row] = [
        [(BOLD, brief_rate(picture.rate)), ("", " calls/s")],
        [("", count_of(totals.calls, "call"))],
        [(HIGH if totals.errors else "", count_of(totals.errors, "error"))],
        [
            (HIGH if totals.died else "", f"{totals.died} died"),
            ("", ", "),
            (HIGH if totals.lost else "", f"{totals.lost} lost"),
        ],
    ]
    flowed = _flow(calls, columns)
    room = min(columns - row_width(flowed[-1]) - 2, _LONGEST_HISTORY)
    if room >= _FEWEST_ROWS:
        flowed[-1] += [("", "  "), (STRING, sparkline(picture.history, room, max(picture.history, default=0)).strip())]
    # One that listens no more has no queue.
    listeners = status.listeners if status.phase in {"running", "settling"} else []
    queues = [_queue(listener, len(listeners) > 1) for listener in listeners]
    state = [*queues, _workers(board, picture), *_reload(status)]
    return [*_flow(about, columns), *flowed, *_flow(state, columns)]


def _queue(listener: ListenerStatus, named: bool) -> Row:
    """How many connections wait at an address, against how many may."""
    name = f"queue of {visible(listener.address)} " if named else "queue "
    if listener.waiting is None or not listener.limit:
        return [("", name), (FAINT, "not told")]
    share = listener.waiting / listener.limit
    full, rest = bar(share, _GAUGE)
    style = level_style(share)
    return [("", name), (style, full), (FAINT, rest), (style, f" {listener.waiting}/{listener.limit}")]


def _workers(board: Dashboard, picture: Picture) -> Row:
    status = picture.status
    ready = sum(worker.state == "ready" for worker in status.workers)
    busy = sum(worker.activity == "busy" for worker in status.workers)
    stalled = sum(worker.stalled for worker in status.workers)
    pieces: Row = [("", f"{count_of(status.wanted, 'worker')}, {busy} busy")]
    if stalled:
        pieces.append((HIGH, f", {stalled} stalled"))
    if ready < status.wanted:
        pieces.append((HIGH, f", {status.wanted - ready} not ready"))
    if len(board.lines) > board.page:
        pieces.append((FAINT, f", row {board.selected + 1} of {len(board.lines)}"))
    return pieces


def _reload(status: ServerStatus) -> list[Row]:
    if status.loading is not None:
        return [[(HIGH, f"reloading: the app of generation {status.loading.generation} is loaded")]]
    if status.reloading:
        new = sum(worker.generation == status.generation and worker.state == "ready" for worker in status.workers)
        return [[(HIGH, f"reloading to generation {status.generation}: {new} of {status.wanted}")]]
    if status.reload_problem is not None:
        return [[(ERROR, f"reload given up: {visible(status.reload_problem)}")]]
    return [[("", f"generation {status.generation}")]]


def _table(board: Dashboard, picture: Picture, room: int, columns: int) -> list[Row]:
    """The titles, and the workers that there is room for."""
    chosen = choose(columns, board.order, board.lines)
    shown = board.show(room)
    highest = max((max(line.history, default=0.0) for line in picture.workers), default=0.0)
    table = [titles(chosen, board.order)]
    for place, line in enumerate(shown, board.first):
        pieces = row(line, chosen, highest)
        if place == board.selected:
            pieces = selected(pieces, columns)
        table.append(pieces)
    # What is at the bottom stays at the bottom.
    return table + [[] for _ in range(room - len(shown))]


def _log(board: Dashboard, rows: int) -> list[Row]:
    """The last log lines of the selected worker."""
    line = board.selected_line
    if line is None or rows < 2:
        return []
    number = line.status.worker
    log = board.news.log
    lines: list[Row]
    if log is None or log.worker != number:
        lines = [[(FAINT, "reading…")]]
    elif log.problem is not None:
        lines = [[(FAINT, visible(log.problem))]]
    else:
        lines = [line for record in log.records[1 - rows :] for line in _logged(record)][1 - rows :]
    heading: Row = [(BOLD, f"log of worker {number}")]
    if not lines:
        lines = [[(FAINT, "nothing was logged about it lately")]]
    return [heading, *lines, *([] for _ in range(rows - 1 - len(lines)))]


def _logged(record: LogRecord) -> Iterator[Row]:
    """What was logged at once, with its time as clocks here have it."""
    first, *rest = record.message.split("\n")
    grave = record.level not in {"", "debug", "info"}
    yield [(FAINT, f"{_clock(record.time)} "), (HIGH if grave else "", visible(first))]
    for line in rest:
        yield [(FAINT, visible(line))]


def _clock(logged: str) -> str:
    try:
        return f"{datetime.fromisoformat(logged).astimezone():%H:%M:%S}"
    except ValueError:
        return visible(logged)


def _bottom(board: Dashboard, columns: int) -> Row:
    """The last row: a question, what came of an order, or the keys."""
    if board.victim is not None:
        worker = board.victim.status
        choice: Row = [
            (BOLD, f"{board.signal} to worker {worker.worker}?"),
            ("", " y/n"),
            (FAINT, f"{_BETWEEN}Tab {'KILL' if board.signal == 'TERM' else 'TERM'}{_BETWEEN}pid {worker.pid}"),
        ]
        if worker.call is not None:
            lost = "it may end" if board.signal == "TERM" else "it is lost"
            choice.append((HIGH, f"{_BETWEEN}in {visible(worker.call.method)}: {lost}"))
        return choice
    if board.message:
        return [(ERROR if board.news.refused else BOLD, visible(board.message))]
    named = ((key, f"{name} {board.order.name}" if key == "s" else name) for key, name in _KEYS)
    return key_row(named, _SHOWN_ORDER, columns)


def _flow(parts: Iterable[Row], columns: int) -> list[Row]:
    """Parts beside each other, on as many rows as they take."""
    rows: list[Row] = [[]]
    for part in parts:
        if rows[-1] and row_width(rows[-1]) + cells(_BETWEEN) + row_width(part) > columns:
            rows.append([])
        rows[-1] += [*([(FAINT, _BETWEEN)] if rows[-1] else []), *part]
    return rows
