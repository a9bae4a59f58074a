"""Tools for agents.

``tools`` has them, ``mcp`` serves them by the Model Context Protocol over stdio and HTTP, ``endpoint`` is its
route.
"""
