"""MCP, the Model Context Protocol: `dialect` has it, and the rest what only that needs."""
