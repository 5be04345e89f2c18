"""Holds that a name means one thing, wherever one reads of it: a class, and the version."""

from __future__ import annotations

import ast
from collections import defaultdict

import rpcshell
from rpcserver.system import version
from tests.test_architecture import MODULES

OF_OTHERS = {
    "Client": "what programs import of rpcshell, and tests of a service of rpcserver.testing",
    "Endpoint": "a method as the server calls it, and Finagle's word for an address",
    "Item": "a part of a list in a guide, and one of an order, as services have them",
    "Member": "a member of an object, and ZooKeeper's word for an instance",
    "Method": "what a catalog lists, and what a service has",
}
"""Names that stand twice, since others chose them or users say both, and what each stands for."""


def test_a_public_class_has_its_name_alone() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for module, file in MODULES.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    assert {name: modules for name, modules in found.items() if len(modules) > 1}.keys() == OF_OTHERS.keys()


def test_the_server_tells_the_version_of_the_package() -> None:
    assert version.__version__ == rpcshell.__version__
