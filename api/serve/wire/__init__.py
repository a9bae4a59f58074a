"""The way from a client to a route, which knows no protocol and no search.

``listener`` has the sockets, ``guard`` says who may ask, ``http`` reads bodies within limits and writes
responses, refusals and streams.
"""
