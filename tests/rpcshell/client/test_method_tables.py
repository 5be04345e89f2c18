"""Holds what is shipped with dialects: that it can be read wherever the package is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import rpcshell
import rpcwire

TOLD = """
import sys
sys.path.insert(0, sys.argv[1])
from rpcshell.client.dialects import method_tables
print(method_tables.__file__)
for protocol in ("acp", "dap", "lsp", "mcp", "mpv", "qga"):
    print(len(method_tables.method_table(protocol).requests) > 3)
"""


def test_tables_are_read_from_a_zip_file_too(tmp_path: Path) -> None:
    packed = tmp_path / "packed.zip"
    with ZipFile(packed, "w") as archive:
        for package in (rpcshell, rpcwire):
            root = Path(str(package.__file__)).parent
            for file in root.rglob("*"):
                if file.suffix in {".py", ".json"}:
                    archive.write(file, Path(root.name, file.relative_to(root)))
    told = subprocess.run([sys.executable, "-c", TOLD, packed], capture_output=True, text=True, check=True, timeout=60)
    where, *read = told.stdout.split()
    assert where.startswith(str(packed))
    assert read == ["True"] * 6
