"""Sockets and HTTP, without knowledge of protocols and searches.

``listener`` has the sockets, ``guard`` checks who may ask, ``http`` reads bodies within limits and writes
responses, refusals and streams.
"""
