"""The schemas of OVSDB databases (RFC 7047, section 3.2) and the methods of the protocol, as an OpenRPC document.

What a transaction's operation takes depends on its `op` and its `table`, and a condition's value on its column: there
lead discriminators. A table that several databases have is taken for one, with the columns of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rpcshell.client.dialects import Description
from rpcshell.client.dialects.lenient import as_mapping

_ABOUT_SERVER: Final = "_Server"
"""The database in which a server tells of itself."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ATOMS: Final = {"integer": "integer", "real": "number", "boolean": "boolean", "string": "string"}
_FUNCTIONS: Final = ["==", "!=", "<", "<=", ">", ">=", "includes", "excludes"]
_MUTATORS: Final = ["+=", "-=", "*=", "/=", "%=", "insert", "delete"]
_BOUNDS: Final = {
    "minInteger": "minimum",
    "maxInteger": "maximum",
    "minReal": "minimum",
    "maxReal": "maximum",
    "minLength": "minLength",
    "maxLength": "maxLength",
}

_Schema = dict[str, Any]

_TEXT: Final[_Schema] = {"type": "string"}
_FLAG: Final[_Schema] = {"type": "boolean"}
_ANY: Final[_Schema] = {"description": "any JSON value"}

_OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "select": ("table", "where", "columns?"),
    "insert": ("table", "row", "uuid-name?"),
    "update": ("table", "where", "row"),
    "mutate": ("table", "where", "mutations"),
    "delete": ("table", "where"),
    "wait": ("table", "where", "columns", "until", "rows", "timeout?"),
    "commit": ("durable",),
    "abort": (),
    "comment": ("comment",),
    "assert": ("lock",),
}
"""The members of each operation beside `op`; those with a question mark may be left out."""

_EVENTS: Final = {
    "update": "Rows of a monitor have changed",
    "update2": "Rows of a monitor of monitor_cond have changed",
    "update3": "Rows of a monitor of monitor_cond_since have changed",
    "monitor_canceled": "A monitor has ended, as its database is gone",
    "locked": "A lock that was waited for is held",
    "stolen": "A lock that was held was stolen",
}


def described(schemas: Mapping[str, Any]) -> Description:
    """What databases with these schemas offer, by their names."""
    own = [name for name in schemas if name != _ABOUT_SERVER]
    versions = [schemas[name].get("version") for name in own if isinstance(schemas[name], dict)]
    version = versions[0] if len(versions) == 1 and isinstance(versions[0], str) else ""
    types = _Types(schemas)
    events = [{"name": name, "summary": summary} for name, summary in _EVENTS.items()]
    methods = _methods(list(schemas), types.monitored, types.conditionally)
    return Description.of_methods(methods, ", ".join(own), version, schemas=types.schemas, events=events)


def _methods(databases: list[str], monitored: _Schema, conditionally: _Schema) -> Iterator[_Schema]:
    database = {"db": {"type": "string", "enum": databases}}
    monitor = {"monitor": {"description": "any JSON value; updates begin with it"}}
    lock = {"lock": _TEXT}
    yield _method("list_dbs", "The names of the databases")
    yield _method("get_schema", "The schema of a database", database)
    operations = {"type": "array", "prefixItems": [database["db"]], "items": _ref("operation"), "minItems": 1}
    yield {
        "name": "transact",
        "summary": "Run operations on a database, all of them or none",
        "params": [{"name": "operations", "required": True, "schema": operations}],
        "x-params": "whole",
        "x-out": "result",
    }
    yield _method("cancel", "Give up a transaction that waits, as Ctrl-C does", {"number": {"type": "integer"}})
    yield _method("monitor", "Tell of changes by update", {**database, **monitor, "requests": monitored})
    conditions = {"requests": conditionally}
    yield _method("monitor_cond", "Tell of changes of some rows by update2", {**database, **monitor, **conditions})
    since = {"last-txn-id": {"type": "string", "default": "00000000-0000-0000-0000-000000000000"}}
    summary = "Tell of changes of some rows by update3, those after a transaction first"
    yield _method("monitor_cond_since", summary, {**database, **monitor, **conditions, **since})
    change = {**monitor, "new-monitor": monitor["monitor"], **conditions}
    yield _method("monitor_cond_change", "Change the conditions of a monitor", change)
    yield _method("monitor_cancel", "Tell of no more changes", monitor)
    yield _method("lock", "Wait for a lock, which locked tells of", lock)
    yield _method("steal", "Take a lock from whoever holds it", lock)
    yield _method("unlock", "Let go of a lock, or wait for it no more", lock)
    yield _method("get_server_id", "The UUID of this run of the server")
    yield _method("set_db_change_aware", "Keep the connection where databases come and go", {"aware": _FLAG})
    yield _method("convert", "Convert a database to another schema", {**database, "schema": {"type": "object"}})
    echo = {"type": "array", "items": {}}
    yield {**_method("echo", "Say the same again", {"params": echo}), "x-params": "whole"}


def _method(name: str, summary: str, params: Mapping[str, _Schema] | None = None) -> _Schema:
    return {
        "name": name,
        "summary": summary,
        "paramStructure": "by-position",
        "params": [{"name": one, "required": True, "schema": schema} for one, schema in (params or {}).items()],
        "x-out": "result",
    }


class _Types:
    """The schemas of tables, by name, and of what is done to them; `monitored` is what a monitor takes."""

    def __init__(self, databases: Mapping[str, Any]) -> None:
        self.schemas: dict[str, _Schema] = {}
        self._tables: dict[str, dict[str, _Schema]] = {}
        for database in databases.values():
            for table, told in _named(database, "tables"):
                columns = self._tables.setdefault(table, {})
                for column, entry in _named(told, "columns"):
                    columns.setdefault(column, _column(entry))
        # Servers tell them in no order.
        self._tables = {table: dict(sorted(columns.items())) for table, columns in sorted(self._tables.items())}
        self._one_of_tables: _Schema = {"type": "string", "enum": list(self._tables)}
        for table, columns in self._tables.items():
            self._add_table(table, columns)
        self._add_operations()
        self.monitored, self.conditionally = self._monitors("monitor"), self._monitors("monitor_cond")

    def _add_table(self, table: str, columns: dict[str, _Schema]) -> None:
        names: _Schema = {"type": "string", "enum": [*columns, "_uuid", "_version"]}
        function: _Schema = {"type": "string", "enum": _FUNCTIONS}
        for column, value in columns.items():
            self.schemas[f"condition on {table} {column}"] = _tuple(names, function, value)
        # What the value is depends on the first item, the column.
        condition = {**_tuple(names, function, _ANY), "discriminator": _led_by("0", columns, f"condition on {table} ")}
        self.schemas |= {
            f"row of {table}": _object(columns, ()),
            f"columns of {table}": _list(names),
            f"conditions on {table}": _list(condition),
            f"mutations of {table}": _list(_tuple(names, {"type": "string", "enum": _MUTATORS}, _ANY)),
        }
        select = _object(dict.fromkeys(("initial", "insert", "delete", "modify"), _FLAG), ())
        request = {"columns": _ref(f"columns of {table}"), "select": select}
        where = {"where": {"type": "array", "items": {"anyOf": [condition, _FLAG]}}}
        self.schemas[f"monitor {table}"] = _object(request, ())
        self.schemas[f"monitor_cond {table}"] = _object({**request, **where}, ())

    def _add_operations(self) -> None:
        tag = {"type": "string", "enum": list(_OPERATIONS)}
        for op, members in _OPERATIONS.items():
            self.schemas[op] = self._operation(op, members, None)
            if "table" in members:
                for table in self._tables:
                    self.schemas[f"{op} {table}"] = self._operation(op, members, table)
                self.schemas[op]["discriminator"] = _led_by("table", self._tables, f"{op} ")
        self.schemas["operation"] = {
            "type": "object",
            "properties": {"op": tag},
            "required": ["op"],
            "discriminator": _led_by("op", _OPERATIONS),
        }

    def _operation(self, op: str, members: tuple[str, ...], table: str | None) -> _Schema:
        row = {"type": "object"} if table is None else _ref(f"row of {table}")
        kinds: dict[str, _Schema] = {
            "op": {"type": "string", "enum": list(_OPERATIONS)},
            "table": self._one_of_tables,
            "row": row,
            "rows": _list(row),
            "uuid-name": {**_TEXT, "description": 'named in other operations as ["named-uuid", NAME]'},
            "until": {"type": "string", "enum": ["==", "!="]},
            "timeout": {"type": "integer", "minimum": 0, "description": "milliseconds"},
            "durable": _FLAG,
            "comment": _TEXT,
            "lock": _TEXT,
        }
        for name, about in (("where", "conditions on"), ("columns", "columns of"), ("mutations", "mutations of")):
            kinds[name] = _list({}) if table is None else _ref(f"{about} {table}")
        named = [member.removesuffix("?") for member in members]
        required = ["op", *(member for member in members if not member.endswith("?"))]
        return _object({name: kinds[name] for name in ("op", *named)}, required)

    def _monitors(self, kind: str) -> _Schema:
        of_tables = {}
        for table in self._tables:
            one = _ref(f"{kind} {table}")
            of_tables[table] = {"anyOf": [one, _list(one)]}
        return _object(of_tables, ())


def _column(entry: object) -> _Schema:
    """The value of a column: an atom, a set, for which one may stand that is its only member, or a map."""
    kind = as_mapping(entry).get("type")
    if not isinstance(kind, dict):
        return _atom(kind)
    key = _atom(kind.get("key"))
    if "value" in kind:
        return _tuple({"const": "map"}, _list(_tuple(key, _atom(kind["value"]))))
    if kind.get("min", 1) == kind.get("max", 1) == 1:
        return key
    return {"anyOf": [key, _tuple({"const": "set"}, _list(key))]}


def _atom(kind: object) -> _Schema:
    told = kind if isinstance(kind, dict) else {"type": kind}
    name = told.get("type")
    if name == "uuid":
        schema = _tuple({"enum": ["uuid", "named-uuid"]}, _TEXT)
        referred = told.get("refTable")
        return {**schema, "description": f"a row of {referred}"} if isinstance(referred, str) else schema
    if not isinstance(name, str) or name not in _ATOMS:
        return {}
    schema = {"type": _ATOMS[name]}
    schema |= {ours: told[theirs] for theirs, ours in _BOUNDS.items() if theirs in told}
    match told.get("enum"):
        case ["set", list() as values]:
            schema["enum"] = values
        case str() | int() | float() as value:
            schema["enum"] = [value]
    return schema


def _named(told: object, key: str) -> list[tuple[str, Any]]:
    """The members of an object in an object that have names as RFC 7047 has them."""
    members = as_mapping(as_mapping(told).get(key))
    return [(name, member) for name, member in members.items() if _NAME.fullmatch(name)]


def _object(properties: Mapping[str, _Schema], required: list[str] | tuple[()]) -> _Schema:
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def _list(items: _Schema) -> _Schema:
    return {"type": "array", "items": items}


def _tuple(*items: _Schema) -> _Schema:
    return {"type": "array", "prefixItems": [*items], "items": False, "minItems": len(items), "maxItems": len(items)}


def _led_by(member: str, values: Mapping[str, Any], prefix: str = "") -> _Schema:
    mapping = {value: f"#/components/schemas/{prefix}{value}" for value in values}
    return {"propertyName": member, "mapping": mapping}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}
