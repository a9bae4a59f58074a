"""Process reward models: an adapter is a text format and a readout, and ``FORMATS`` names each in one table.

``formats`` has the table and chooses the format of a model. The adapters are made in ``token`` for PRMs that
answer with a token, and in ``head`` for those with a head on their hidden states. ``text`` cuts a PRM's text
into pieces, and ``incremental`` is the scorer behind every format.
"""
