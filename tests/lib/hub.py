"""A Hugging Face Hub on the loopback interface."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import quote

from loopback import Server

COMMIT = "c" * 40


def publish(server: Server, repo: str, files: Mapping[str, bytes | int]) -> None:
    """Serve a repository as the Hub does; of a file that is only a size no byte can be fetched."""
    siblings = []
    for name, data in files.items():
        size, content = (data, b"") if isinstance(data, int) else (len(data), data)
        digest = hashlib.sha256(content).hexdigest()
        lfs = {"sha256": digest, "size": size, "pointerSize": 134}
        siblings.append({"rfilename": name, "size": size, "lfs": lfs})
        if content:
            headers = {
                "ETag": f'"{digest}"',
                "X_Linked_Etag": f'"{digest}"',
                "X_Linked_Size": str(size),
                "X_Repo_Commit": COMMIT,
            }
            server.add(f"/{repo}/resolve/{COMMIT}/{quote(name)}", content, **headers)
    info = {"id": repo, "sha": COMMIT, "siblings": siblings}
    server.add(f"/api/models/{repo}", info, Content_Type="application/json")
    server.add("/", b"hello")
