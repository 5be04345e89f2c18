"""The headings that commands stand under, in help and in the menu of the prompt, in their order."""

from typing import Final

TALK: Final = "Talk"
LOOK: Final = "Look"
RUN_A_SERVER: Final = "Run a server"
BREAK_IT: Final = "Break it"
SCRIPT: Final = "Script"
SHELL: Final = "Shell"

GROUPS: Final = (TALK, LOOK, RUN_A_SERVER, BREAK_IT, SCRIPT, SHELL)
