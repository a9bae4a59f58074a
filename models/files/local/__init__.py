"""Models that lie on this machine.

``cache`` is the place of all downloads, shared with other programs; ``stores`` finds what LM Studio,
llama.cpp and Ollama (``ollama``) keep elsewhere, which is opened where it lies. ``checksum`` computes the
sha256 of a file once.
"""
