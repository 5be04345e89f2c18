"""What the build backend makes of this source: manual pages in the wheel, and metadata whose links lead somewhere.

The pages come from what `--help` and the guides are made of, so the build needs what these import. Links of README are
relative, as its readers are in a checkout; on an index of packages they are absolute where the environment says where
the source is (`PROJECT_URL=https://HOST/OWNER/NAME`), and else their text alone.
"""

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

HOME = "/~"
"""A home that no user has: pages say where files are for everybody."""

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?!https?:)(?P<path>[^)]*)\)")


class ManualPages(BuildHookInterface[Any]):
    """Adds `share/man` to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages, and say where they go; an editable wheel has none."""
        if self.target_name != "wheel" or version == "editable":
            return
        for key in [key for key in os.environ if key.startswith(("XDG_", "RPCS"))]:
            del os.environ[key]
        os.environ["HOME"] = HOME
        sys.path[:0] = [self.root, str(Path(self.root, "server"))]
        from rpcserver.options import command as rpcserver
        from rpcshell.app.arguments import command as rpcshell
        from rpcshell.app.manual import pages

        self._folder = tempfile.TemporaryDirectory()
        for file, text in pages({"rpcshell": rpcshell, "rpcserver": rpcserver}).items():
            written = Path(self._folder.name, file)
            written.write_text(text.replace(f"{HOME}/", "~/"), encoding="utf-8")
            build_data["shared_data"][str(written)] = f"share/man/man{file[-1]}/{file}"


class Links(MetadataHookInterface):
    """Gives the project its README and its addresses."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set what `pyproject.toml` calls dynamic."""
        home = os.environ.get("PROJECT_URL", "").rstrip("/")
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": with_links(readme, home)}
        names = {"Source": "", "Changelog": "/blob/HEAD/CHANGELOG.md", "Issues": "/issues"}
        metadata["urls"] = {name: home + path for name, path in names.items()} if home else {}


def with_links(readme: str, home: str) -> str:
    """A page whose relative links lead to the source at an address; without one they are their text."""

    def link(found: re.Match[str]) -> str:
        if not home:
            return "" if found["picture"] else found["text"]
        kind = "raw" if found["picture"] else "blob"
        return f"{found['picture']}[{found['text']}]({home}/{kind}/HEAD/{found['path']})"

    return LINK.sub(link, readme)
