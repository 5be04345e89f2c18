"""The prompt: everything that draws on a terminal or reads its keys, and all that imports prompt_toolkit.

The adaptors here hold no rules of their own: what a line means is `language`'s, what could come next `suggest`'s,
what to say about it `hint`'s, how a reply looks `render`'s.
"""
