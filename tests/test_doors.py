"""Holds where imports stand inside functions: at the doors to what a start, or most runs, do without."""

from collections import Counter

from tests.test_architecture import all_imports

DOORS = {
    "pytest_rpcserver": {"rpcserver.testing"},
    "rpcserver.arbiter.control": {"tempfile"},
    "rpcserver.arbiter.crew": {"rpcserver.arbiter.stems"},
    "rpcserver.arbiter.spawner": {"rpcserver.workers.stem"},
    "rpcserver.cli": {"rpcserver.run"},
    "rpcserver.ops.metrics": {"rpcserver.ops.exposition"},
    "rpcserver.ops.registrar": {"rpcserver.ops.registry_session"},
    "rpcserver.ops.registry_access": {"ssl"},
    "rpcserver.ops.watch": {"watchfiles"},
    "rpcserver.options": {"click.shell_completion"},
    "rpcserver.run": {
        "rpcserver.arbiter.control_service",
        "rpcserver.arbiter.health",
        "rpcserver.ops.metrics",
        "rpcserver.ops.registrar",
        "rpcserver.ops.registry_access",
        "rpcserver.ops.watch",
        "rpcserver.system.tls",
    },
    "rpcserver.service.coroutines": {"rpcserver.service.loop_thread"},
    "rpcserver.service.discovery": {"rpcserver.service.openrpc"},
    "rpcserver.service.dispatch": {"rpcserver.service.on_loop"},
    "rpcserver.service.hooks": {"rpcserver.service.on_loop"},
    "rpcserver.system.at_exit": {"multiprocessing.connection"},
    "rpcserver.system.settings": {"rpcserver.system.proxy_protocol", "rpcwire.serverset", "tomllib"},
    "rpcserver.testing.client": {"rpcserver.testing.tls"},
    "rpcserver.testing.server": {"rpcserver.run", "rpcserver.system.process", "rpcserver.testing.tls"},
    "rpcserver.workers.base": {"rpcserver.service.access"},
    "rpcserver.workers.conversation": {"rpcserver.workers.tls_session"},
    "rpcserver.workers.socket_drivers": {"rpcserver.workers.proxied"},
    "rpcshell": {"importlib"},
    "rpcshell.app.arguments": {"rpcshell.app.manual", "rpcshell.servers.spawn", "rpcshell.shell.config_reference"},
    "rpcshell.app.cli": {"rpcshell.app.program"},
    "rpcshell.app.options": {"rpcshell.app.call_words", "rpcshell.commands"},
    "rpcshell.app.program": {
        "rpcshell.app.arguments",
        "rpcshell.app.bench_arguments",
        "rpcshell.app.repl",
        "rpcshell.app.script",
        "rpcshell.app.script_output",
        "rpcshell.app.shell_completion",
    },
    "rpcshell.app.repl": {"rpcshell.shell.shell"},
    "rpcshell.app.script": {"rpcshell.lab.bench.conduct"},
    "rpcshell.app.script_output": {"rpcshell.line.masking", "rpcshell.view.render"},
    "rpcshell.client.addresses": {"rpcwire.socket_names", "shlex", "urllib.parse"},
    "rpcshell.client.any_client": {"rpcshell.client.description", "rpcshell.client.fleet.instances"},
    "rpcshell.client.async_client": {
        "asyncio",
        "rpcshell.client.async_connection",
        "rpcshell.client.async_listening",
    },
    "rpcshell.client.async_opening": {"rpcshell.client.async_fleet_client"},
    "rpcshell.client.client": {"rpcshell.client.hearing", "rpcshell.client.listening"},
    "rpcshell.client.dialect_names": {"importlib.metadata"},
    "rpcshell.client.dialects.lenient": {"json"},
    "rpcshell.client.dialling": {"rpcshell.client.tls"},
    "rpcshell.client.errors": {"traceback"},
    "rpcshell.client.fleet.sources": {"rpcshell.client.fleet.serverset_source", "rpcshell.client.fleet.srv_source"},
    "rpcshell.client.opening": {"rpcshell.client.fleet_client"},
    "rpcshell.client.target": {"rpcwire.framings", "rpcwire.serverset", "shlex"},
    "rpcshell.client.transport": {"rpcshell.client.child", "rpcshell.client.http"},
    "rpcshell.commands.drills": {"rpcshell.lab.drills"},
    "rpcshell.commands.each": {"rpcshell.commands.comparison"},
    "rpcshell.commands.export": {"rpcshell.commands.export.python_files", "rpcshell.commands.export.script"},
    "rpcshell.commands.guide": {"rpcshell.lab.lesson.course", "rpcshell.view.guide_page"},
    "rpcshell.commands.lsp": {"rpcshell.client.dialects.lsp"},
    "rpcshell.commands.repeat": {"rpcshell.lab.bench.conduct"},
    "rpcshell.commands.settings": {"rpcshell.shell.config_writing"},
    "rpcshell.commands.top": {"rpcshell.commands.fleet_top", "rpcshell.lab.top.screen"},
    "rpcshell.commands.why": {
        "rpcshell.commands.wire",
        "rpcshell.shell.why.evidence",
        "rpcshell.shell.why.explanation",
    },
    "rpcshell.guides": {"importlib.resources"},
    "rpcshell.lab.bench.report": {"plotext"},
    "rpcshell.lab.load.messages": {"rpcshell.client.dialects.envelope"},
    "rpcshell.lab.load.process": {"rpcshell.lab.load.client_generator"},
    "rpcshell.line.json_text": {"json"},
    "rpcshell.line.near_names": {"rpcwire.name_budget"},
    "rpcshell.line.reply_values": {"rpcshell.line.secrets"},
    "rpcshell.prompt.actions": {"rpcshell.prompt.reading"},
    "rpcshell.prompt.completer": {"rpcshell.prompt.reading"},
    "rpcshell.prompt.context": {
        "rpcshell.client.dialects.registry",
        "rpcshell.line.catalog",
        "rpcshell.line.language",
        "rpcshell.line.masking",
        "rpcshell.line.suggest",
    },
    "rpcshell.prompt.documentation": {"rpcshell.prompt.synopsis"},
    "rpcshell.prompt.history": {"json", "rpcshell.line.masking"},
    "rpcshell.prompt.keys": {"rpcshell.line.masking"},
    "rpcshell.prompt.screen": {"rpcshell.prompt.screen_pieces"},
    "rpcshell.prompt.session": {"rpcshell.prompt.event_line", "rpcshell.prompt.form", "rpcshell.prompt.templates"},
    "rpcshell.prompt.tabstops": {"rpcshell.prompt.templates"},
    "rpcshell.prompt.theme": {"rpcshell.prompt.pygments_themes"},
    "rpcshell.prompt.toolbar": {"rpcshell.prompt.remarks", "rpcshell.shell.discovery"},
    "rpcshell.servers.folders": {"platformdirs", "tempfile"},
    "rpcshell.servers.target_memory": {"rpcshell.line.secrets"},
    "rpcshell.shell.call": {"rpcshell.line.masking", "rpcshell.line.secrets"},
    "rpcshell.shell.config_reading": {"rpcshell.shell.config_text"},
    "rpcshell.shell.config_text": {"rpcshell.client.dialects.envelope"},
    "rpcshell.shell.connect": {"rpcshell.servers.starting"},
    "rpcshell.shell.dialect_finder": {"rpcshell.client.detecting", "rpcshell.servers.directory"},
    "rpcshell.shell.fleet": {"hashlib", "rpcshell.client.broadcast"},
    "rpcshell.shell.leaving": {"rpcshell.servers.control"},
    "rpcshell.shell.meant_lines": {"rpcshell.line.masking"},
    "rpcshell.shell.session": {
        "rpcshell.line.catalog",
        "rpcshell.servers.spawn",
        "rpcshell.shell.call",
        "rpcshell.shell.target_client",
    },
    "rpcshell.shell.shell": {
        "rpcshell.line.masking",
        "rpcshell.shell.missteps",
        "rpcshell.shell.pipeline",
        "rpcshell.shell.supervisor",
        "rpcshell.view.table",
    },
    "rpcshell.shell.target_client": {"rpcshell.shell.sampling"},
    "rpcshell.shell.target_config": {"rpcshell.client.dialects.registry"},
    "rpcshell.shell.target_connection": {"rpcshell.shell.discovery", "rpcshell.shell.unasked"},
    "rpcshell.shell.terminal": {"shutil"},
    "rpcshell.shell.why.sighting": {"rpcshell.shell.why.snapshot"},
    "rpcshell.view.differences": {"difflib"},
    "rpcshell.view.plain": {"rpcshell.view.table"},
    "rpcshell.view.width": {"wcwidth"},
}
"""By the module that has the door, what is behind it. What is behind a door imports at the top of its file."""


def deferred() -> set[tuple[str, str, int]]:
    """The imports inside functions: the module, what it imports, and the line."""
    return {(one.importer, one.imported, one.line) for one in all_imports() if one.deferred and not one.typing_only}


def test_imports_inside_functions_stand_at_doors() -> None:
    found: dict[str, set[str]] = {}
    for importer, imported, _ in deferred():
        found.setdefault(importer, set()).add(imported)
    assert found == DOORS


def test_two_functions_of_a_module_at_most_share_a_door() -> None:
    # Where more of them need what is behind it, what they do with it belongs there too.
    statements = Counter((importer, imported) for importer, imported, _ in deferred())
    assert [f"{importer} to {imported}" for (importer, imported), times in statements.items() if times > 2] == []
