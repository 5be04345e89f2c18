"""The styles of the shell's own texts by their names; which colours they are is `rpcshell.prompt.theme`'s.

Those of values, which are pygments' own, are in `pretty`.
"""

from typing import Final

TITLE: Final = "class:out"
FAINT: Final = "class:footer"
HINT: Final = "class:hint"
COMMAND: Final = "class:command"
ERROR: Final = "class:error"

GOOD: Final = "class:good"
BAD: Final = "class:bad"

LOW: Final = "class:top.low"
HIGH: Final = "class:top.high"
FULL: Final = "class:top.full"
"""How much of something is used, of which little is better."""
