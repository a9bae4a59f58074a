"""The server's tools for agents, by the Model Context Protocol (https://modelcontextprotocol.io).

``tools`` are what an agent calls, ``results`` what it gets back; ``server`` offers them over stdio, and
``endpoint`` under ``/mcp`` of the HTTP server. All of them search in the hub that answers the other clients
too.
"""
