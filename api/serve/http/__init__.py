"""HTTP, whatever is asked: who may ask, bodies that are read within limits, errors with a status.

``guard`` turns away what must not come in, ``connection`` reads a body and sends events while there is a
client. ``json_body`` reads and writes JSON, tables of ``fields`` say what a body may hold, and ``errors``
have a shape for each protocol.
"""
