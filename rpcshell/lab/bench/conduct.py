"""A benchmark from its options to its report: what is loaded, how often, and what is shown of it.

The load itself is the engine's, the words and pictures are the report's.
"""

from __future__ import annotations

import contextlib
import sys
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import asdict, replace

from rpcshell.client.dialects.registry import has_trait
from rpcshell.client.errors import Cancelled, NotConnected, ShellError, UsageError
from rpcshell.client.target import FleetTarget, Target, TlsFiles
from rpcshell.lab.bench import page, report
from rpcshell.lab.bench.compare import against_last
from rpcshell.lab.bench.findings import call_text, load_text
from rpcshell.lab.bench.measurement import Measurement, Plan, as_json
from rpcshell.lab.bench.progress import DrawnProgress, progress_line
from rpcshell.lab.bench.rounds import contestants_of
from rpcshell.lab.bench.run import run_plan
from rpcshell.lab.bench.run_memory import RunMemory
from rpcshell.lab.bench.server_use import ServerMeter
from rpcshell.servers.control import Control
from rpcshell.servers.folders import state_folder
from rpcshell.servers.listeners import is_on_this_machine
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.shell.session import Session
from rpcshell.shell.terminal import columns_of_terminal, is_terminal
from rpcshell.view.units import count_of, per_second
from rpcshell.view.wrap import wrapped
from rpcwire.worker_models import worker_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcshell.lab.bench.measurement import RunProgress
    from rpcshell.lab.bench.options import BenchOptions
    from rpcshell.lab.bench.progress import Draw
    from rpcshell.shell.shell import Shell

_TIMEOUT: Final = 10.0
_WIDTH: Final = 80
_MOST_SYNC_WORKERS: Final = 256


def conduct(shell: Shell, call: str, options: BenchOptions) -> None:
    """Run a benchmark of a call, as typed, and show what came of it.

    Raises:
        UsageError: What was asked for makes no sense.
        NotConnected: There is no server.
        CallError: The server neither lists the method nor takes it.
        Cancelled: It was interrupted, and nobody sees that; or before there was anything to show.
        ShellError: The server cannot be reached, or no call went well, and nobody sees that.
    """
    options.check()
    method, params = shell.read_call(call)
    described = None if shell.session.fleet is None else shell.session.method(method)
    plan = Plan(
        target="" if shell.session.target is None else str(shell.session.target),
        method=method,
        params=params,
        names=shell.session.catalog.param_names(method),
        connections=_connections(shell, options),
        seconds=options.seconds_to_run,
        calls=options.calls,
        rate=options.rate,
        pipeline=options.pipeline,
        processes=options.processes,
        timeout=shell.session.settings.timeout or _TIMEOUT,
        plain=shell.session.plain,
        idempotent=described is not None and described.idempotent,
        tls=shell.session.tls or TlsFiles(),
    )
    if not options.models:
        _refuse_targets(shell, options)
    try:
        if not options.models or shell.session.spawned_at(shell.session.target) is not None:
            shell.refuse_absent(call, method, params)
        # What serves one connection at a time would serve this one.
        shell.session.hang_up()
        measured = _Conductor(shell, call, plan, options).measure()
    except KeyboardInterrupt:
        raise Cancelled("cancelled: nothing was measured") from None
    _show(shell, measured, options)
    if shell.interactive:
        return
    if any(one.interrupted for one in measured):
        raise Cancelled("interrupted: what there was by then was told")
    if not any(one.answered_well for one in measured):
        raise ShellError("no call went well")


def _connections(shell: Shell, options: BenchOptions) -> int:
    target = shell.session.target
    if (
        options.models
        or target is None
        or not target.dialect
        or not has_trait(target.dialect, "serves_one", shell.session.book.dialects)
    ):
        return options.most_connections
    if (options.connections or options.processes or 1) > 1:
        raise UsageError(f"{target} serves one client at a time", hint="-c 1, or none, measures it")
    return 1


def _refuse_targets(shell: Shell, options: BenchOptions) -> None:
    target = shell.session.target
    if target is None:
        raise NotConnected
    if target.dialect and options.pipeline > 1:
        raise UsageError(f"--pipeline is for rpcshell's own protocol, and {target} speaks {target.dialect}")
    if isinstance(target, FleetTarget) and options.pipeline > 1:
        raise UsageError(f"--pipeline is for a single server, and {target} is several", hint="-c makes more calls")
    fleet = shell.session.fleet
    everywhere = [target] if fleet is None else [instance.target for instance in fleet.instances]
    if not options.yes_remote and not all(map(is_on_this_machine, everywhere)):
        raise UsageError(
            f"{target} is not on this machine, and load on a server of others is no small thing",
            hint="--yes-remote says that you may",
        )


class _Conductor:
    def __init__(self, shell: Shell, call: str, plan: Plan, options: BenchOptions) -> None:
        self._shell = shell
        self._call = call
        self._plan = plan
        self._options = options

    def measure(self) -> list[Measurement]:
        """Make all rounds, in which models take turns, so that none has the better time.

        Ctrl-C is raised only where there is nothing to show yet.
        """
        start = self._pattern() if self._options.models else None
        if start is None:
            self._fit_to_server()
        elif start.workers is not None:
            self._fit(start.workers, self._options.models)
        measured: list[Measurement] = []
        rounds = range(1, self._options.rounds_to_run + 1)
        with self._progress() as show:
            for number, model in product(rounds, self._options.models or ("",)):
                draw = show(self._title(model, number))
                try:
                    one = self._of_server(draw) if start is None else self._of_model(start, model, draw)
                    measured.append(one)
                except (KeyboardInterrupt, Cancelled):
                    if not measured:
                        raise KeyboardInterrupt from None
                    measured[-1] = replace(measured[-1], interrupted=True)
                if measured[-1].interrupted:
                    break
        return measured

    def _fit_to_server(self) -> None:
        """Have no more connections than the server can serve, where nobody has said how many."""
        with contextlib.suppress(ShellError), self._shell.supervisor.control(timeout=1.0) as control:
            status = control.status()
            self._fit(len(status.workers), (status.model,))

    def _fit(self, workers: int, models: Sequence[str]) -> None:
        if self._options.connections is None and not all(worker_model(model).concurrent for model in models):
            self._plan = replace(self._plan, connections=max(min(self._plan.connections, workers), 1))

    def _of_server(self, draw: Draw) -> Measurement:
        control = None
        # It need not be one of this user's on this machine.
        with contextlib.suppress(ShellError):
            control = self._shell.supervisor.control(timeout=1.0)
        return self._measure(self._plan, control, draw)

    def _of_model(self, start: SpawnOptions, model: str, draw: Draw) -> Measurement:
        draw(None)
        workers = start.workers
        if workers is None and not worker_model(model).concurrent:
            # Each serves one connection; of the other models the server knows what is best.
            workers = min(self._plan.connections, _MOST_SYNC_WORKERS)
        server = SpawnedServer.start(replace(start, model=model, workers=workers))
        try:
            plan = replace(self._plan, target=server.addresses[0], plain=False)
            self._refuse_absent(plan.target)
            control = Control(server.control, timeout=1.0) if server.control else None
            return self._measure(plan, control, draw)
        finally:
            server.stop(drain=0)

    def _refuse_absent(self, address: str) -> None:
        """Refuse a method that a server of a model neither lists nor takes; the session may have none."""
        with contextlib.closing(Session(self._shell.session.settings, background=False)) as session:
            session.connect(address)
            there = self._shell.derived(session=session)
            there.refuse_absent(self._call, self._plan.method, self._plan.params)

    def _pattern(self) -> SpawnOptions:
        """How to start servers like the running one."""
        session, workers = self._shell.session, self._options.workers
        running = session.server
        if running is None or running.poll() is not None:
            if session.target is not None:
                raise UsageError(
                    f"--models starts servers like the one that was spawned here, and {session.target} was not",
                    hint=":spawn N APP starts it; :disconnect first compares models of the demo",
                )
            return SpawnOptions(workers=workers, app=self._options.app)
        return replace(running.options, workers=workers, bind=SpawnOptions().bind, keep=False)

    def _measure(self, plan: Plan, control: Control | None, draw: Draw) -> Measurement:
        draw(None)
        meter = None if control is None else ServerMeter(control)

        def on_progress(progress: RunProgress) -> None:
            if meter is not None:
                meter.look()
            draw(progress)

        measured = run_plan(plan, on_progress, self._unsaid(plan), self._shell.session.book.dialects)
        return measured if meter is None else replace(measured, server=meter.finish())

    def _unsaid(self, plan: Plan) -> dict[str, Any]:
        """What the session knows of its target beyond the text, such as headers."""
        whole = self._shell.session.target
        if whole is None or str(whole) != plan.target:
            return {}
        said = asdict(Target.parse(plan.target, self._shell.session.book.dialects))
        return {name: value for name, value in asdict(whole).items() if value != said[name]}

    def _title(self, name: str, number: int) -> str:
        rounds = self._options.rounds_to_run
        turn = f"round {number} of {rounds}" if rounds > 1 else ""
        return " · ".join(filter(None, (name, turn, call_text(self._plan), load_text(self._plan))))

    @contextmanager
    def _progress(self) -> Iterator[Callable[[str], Draw]]:
        """Give what draws the progress of a run with a title."""
        place = self._shell.output.live()
        if place is not None:
            with place as screen:
                yield lambda title: DrawnProgress(screen, title)
        elif not self._shell.interactive and is_terminal(sys.stderr):
            with progress_line(sys.stderr, columns_of_terminal()) as titled:
                yield titled
        else:
            yield lambda _title: lambda _progress: None


def _show(shell: Shell, measured: list[Measurement], options: BenchOptions) -> None:
    if options.json:
        found = [as_json(one) for one in measured]
        shell.output.value("", found if options.models or options.rounds_to_run > 1 else found[0])
    else:
        _show_text(shell, measured, side_by_side=bool(options.models))
    if not options.models:
        _remember(shell, _typical(measured), options)
    if options.page is not None:
        try:
            options.page.write_text(page.html(measured), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{options.html} cannot be written: {error.strerror}") from error
        shell.output.note(f"a page with charts is in {options.html}")


def _width(shell: Shell) -> int:
    at_screen = shell.interactive or is_terminal(sys.stdout)
    return columns_of_terminal(_WIDTH) if at_screen else _WIDTH


def _show_text(shell: Shell, measured: list[Measurement], *, side_by_side: bool) -> None:
    width = _width(shell)
    if side_by_side:
        plan = measured[0].plan
        counts = {one.server.workers for one in measured if one.server is not None}
        workers = f" · {count_of(counts.pop(), 'worker')} each" if len(counts) == 1 else ""
        head = f"{call_text(plan)}\n{load_text(plan)}{workers}\n\n"
        shell.output.pieces([("", head), *report.comparison_pieces(measured, width)], paged=False)
    else:
        shell.output.pieces(report.pieces(_typical(measured), width), paged=False)
    spans = [
        f"{one.name} {per_second(min(one.rates))} to {per_second(max(one.rates))}"
        for one in contestants_of(measured)
        if one.rounds > 1
    ]
    if spans:
        shell.output.note(f"calls/s from round to round: {', '.join(spans)}")
    if side_by_side and measured[-1].interrupted:
        shell.output.note("it was stopped before its end")


def _typical(measured: list[Measurement]) -> Measurement:
    """The round in the middle."""
    return sorted(measured, key=lambda one: one.rate)[(len(measured) - 1) // 2]


def _remember(shell: Shell, measured: Measurement, options: BenchOptions) -> None:
    """Remember the run for later comparisons, and compare it with the one before if that is wanted."""
    memory = RunMemory(state_folder)
    if not options.compare:
        memory.remember(measured)
        return
    said = against_last(measured, memory) or "There is no earlier run of this call to compare with."
    if options.json:
        shell.output.note(said)
    else:
        shell.output.pieces(wrapped([("", f"\n{said}\n")], _width(shell)), paged=False)
