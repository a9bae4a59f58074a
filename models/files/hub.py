"""The Hugging Face Hub: its sign of life, the exact file that a reference means, and the bytes of that file.

huggingface_hub has the addresses, the user's token, the client and its errors. Its own transfer deletes what
a killed download has brought, so the bytes come through ``http``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adascale.engine.errors import (
    ModelCorruptError,
    ModelError,
    ModelNotFoundError,
    ModelUnavailableError,
    command,
    human_bytes,
    setting,
)

from .progress import Report, Transfer
from .reference import ModelReference, RemoteFile, choose_file, model_files, quant_of

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub.hf_api import RepoSibling

_ANSWER_WITHIN_S = 3.0


def is_offline() -> bool:
    """True if the user told huggingface_hub to stay offline."""
    values = (os.environ.get(key, "") for key in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in values)


def endpoint() -> str:
    """Address of the Hub or its mirror, without a slash at the end."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def host() -> str:
    """Host name of the Hub, for messages."""
    return urlsplit(endpoint()).hostname or endpoint()


def check_reachable() -> None:
    """Ask the Hub for a sign of life, so that another source is asked within seconds.

    Raises:
        ModelUnavailableError: None came; the message says why.
    """
    import httpx2

    try:
        status = httpx2.head(endpoint(), timeout=_ANSWER_WITHIN_S).status_code
    except Exception as error:  # proxies that cannot be used raise nearly anything
        raise _unreachable_error(str(error)) from error
    if status >= 500:
        raise _unreachable_error(f"it answers {status}")


def exact_file(reference: ModelReference) -> RemoteFile:
    """Ask the Hub which exact file a reference means.

    Raises:
        ModelNotFoundError: No such repository, revision, file or quant.
        ModelUnavailableError: Gated, or the Hub failed.
        ModelCorruptError: It has no checksum, or another one than was published.
    """
    from huggingface_hub import HfApi

    with _translate_errors(reference.repo, reference.name):
        api = HfApi(endpoint(), library_name="adascale")
        info = api.model_info(reference.repo, revision=reference.revision, files_metadata=True, timeout=60)
    files = {each.rfilename: each for each in info.siblings or []}
    file = reference.file if reference.file in files else None
    file = file or choose_file(files, reference.file or reference.quant)
    if file is None:
        raise _quant_error(reference, files)
    lfs, spec = files[file].lfs, reference.spec
    if lfs is None or info.sha is None or (spec is not None and spec.sha256 != lfs.sha256):
        raise ModelCorruptError(
            f"{reference.name} on {host()} is not the file that was published"
            if spec is not None
            else f"{reference.name} has no checksum on {host()}, so it cannot be trusted",
            file,
            slug="bad-checksum",
        )
    return RemoteFile(reference.name, reference.repo, info.sha, file, lfs.size, lfs.sha256, spec)


def download(remote: RemoteFile, area: Path, report: Report) -> Path:
    """Fetch a file into the staging area, resuming an earlier run.

    Returns:
        The file, not yet checked.

    Raises:
        ModelNotFoundError: The Hub does not have it.
        ModelUnavailableError: Gated, or the connection failed.
        OSError: The disk is full.
    """
    from . import http

    path = area / "hub.part"

    def send(headers: dict[str, str]) -> AbstractContextManager[httpx2.Response]:
        return _get(remote.repo, remote.file, remote.hub_revision, headers)

    with _translate_errors(remote.repo, remote.name):
        http.download(send, path, lambda count: report(Transfer(remote.name, count, remote.size_bytes)))
    return path


def read(repo: str, file: str, revision: str | None, part: tuple[int, int] | None = None) -> bytes:
    """Read a file into memory, or the part from a first byte up to but not including a last one.

    Raises:
        ModelNotFoundError, ModelUnavailableError: As ``download``, or the Hub does not serve parts.
    """
    headers = {} if part is None else {"Range": f"bytes={part[0]}-{part[1] - 1}"}
    with _translate_errors(repo, f"{repo}/{file}"), _get(repo, file, revision, headers) as response:
        response.raise_for_status()
        if part is not None and response.status_code != 206:
            raise ModelUnavailableError(f"{host()} does not serve parts of files", file)
        return response.read()


def _get(
    repo: str, file: str, revision: str | None, headers: Mapping[str, str]
) -> AbstractContextManager[httpx2.Response]:
    """Ask for a file with the user's token, which a redirect to another host does not get."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, not listed

    from .http import TIMEOUT

    url = hf_hub_url(repo, file, revision=revision, endpoint=endpoint())
    headers = build_hf_headers(library_name="adascale") | dict(headers)
    return get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT)


@contextlib.contextmanager
def _translate_errors(repo: str, name: str) -> Iterator[None]:
    """Turn errors of requests to the Hub into ours.

    Args:
        repo: Repository that is asked for.
        name: Model or file in it, for messages.

    Raises:
        ModelNotFoundError: No such repository, file or revision.
        ModelUnavailableError: Gated, or the Hub failed.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise ModelNotFoundError(f"{repo} cannot be the name of a repository", str(error)) from error
    except (httpx2.HTTPStatusError, HfHubHTTPError) as error:
        raise _refusal_error(error.response, repo, name) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _unreachable_error(str(error)) from error


def _refusal_error(response: httpx2.Response, repo: str, name: str) -> ModelError:
    """Explain a refusal; the Hub hides private repositories from strangers."""
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    if code == "GatedRepo":
        is_stranger = status != 403
        return ModelUnavailableError(
            f"{repo} needs permission from its owner",
            "you are not logged in to Hugging Face" if is_stranger else "your account has no access yet",
            hint=f"ask for access at {endpoint()}/{repo}"
            + (", then run: hf auth login" if is_stranger else ""),
            slug="gated-repo",
        )
    if code == "RepoNotFound" or status == 401:
        hint = "check the spelling; if it is private: hf auth login"
        return ModelNotFoundError(f"{host()} has no model {repo}", "not found, or private", hint=hint)
    if code in ("RevisionNotFound", "EntryNotFound"):
        return ModelNotFoundError(f"{repo} has no such file or revision", name)
    return _unreachable_error(f"it answers {status}")


def offline_error(name: str, *, again: bool = False) -> ModelUnavailableError:
    """Build the error for a model to be fetched, or fetched again, while the network is off limits."""
    absent = f"{name} is not in the cache, so it has to be downloaded once"
    return ModelUnavailableError(
        "offline mode is on",
        f"{name} was not fetched again" if again else absent,
        hint=f"leave out {setting('offline')}, unset HF_HUB_OFFLINE, then run the same command again",
        slug="offline",
    )


def _unreachable_error(reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"cannot reach {host()} ({reason.partition('] ')[2] or reason})",  # without the system's number
        hint="check the connection, the proxy, HF_ENDPOINT and PIP_INDEX_URL; then run the command again",
    )


def _quant_error(reference: ModelReference, files: Mapping[str, RepoSibling]) -> ModelNotFoundError:
    models = model_files(files)
    if not models:
        hint = "look for a repository of the same name that ends in -GGUF"
        return ModelNotFoundError(f"{reference.repo} has no GGUF model in one file", hint=hint)
    listing = ", ".join(f"{quant_of(name)} {human_bytes(files[name].size or 0)}" for name in models)
    best = quant_of(choose_file(models, None) or models[0])
    return ModelNotFoundError(
        f'{reference.repo} has no quant "{reference.file or reference.quant}"',
        f"it has: {listing}",
        hint=command("pull", f"{reference.repo}:{best}"),
        slug="no-such-quant",
    )
