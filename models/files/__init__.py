"""Model files: from what a user calls a model to a verified file on this machine.

``library`` is the face: ``resolve``, ``fetch_again``, ``locate``, ``installed_models``, ``remove``. A
reference (``reference``, ``catalog``) names one exact ``RemoteFile``, which is found among the ``local``
models or fetched from one of the ``sources``; ``gguf`` reads what it says about itself. ``validation``
refuses what others send in a wrong form, ``safetensors`` reads single tensors of PRM heads, ``progress`` has
what a download reports and asks.
"""
