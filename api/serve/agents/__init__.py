"""Tools for agents.

``tools`` defines them, ``mcp`` serves them by the Model Context Protocol over stdio and HTTP, ``endpoint`` is
their route in the HTTP server.
"""
