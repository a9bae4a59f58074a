"""Sockets and HTTP: limits, access, and errors in the shape of each protocol.

``listener`` has the sockets, ``guard`` checks who may ask, ``http`` reads bodies within limits and writes
responses, refusals and streams.
"""
