"""Tools for agents: ``tools`` has what they search and give, ``mcp`` serves them over stdio and HTTP."""
