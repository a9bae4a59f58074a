"""The Hugging Face Hub: its sign of life, the exact file that a reference means, and the bytes of that file.

huggingface_hub has the addresses, the user's token, the client and the form of a page. Its own transfer
deletes what a broken connection has brought and bounds no answer, so the bytes come through ``http``.
A sign of life is asked for first, within three seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from adascale.engine.decimals import human_bytes
from adascale.engine.errors import (
    ModelCorruptError,
    ModelError,
    ModelNotFoundError,
    ModelUnavailableError,
    command,
    setting,
)

from .cache import HUB_PART
from .gguf import Part
from .progress import Report, Transfer
from .reference import ModelReference, RemoteFile, choose_file, model_files, quant_of
from .validation import is_size

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub.hf_api import RepoSibling

    from .http import Request

# Name look-up has no timeout of its own, so the whole question gets one.
_ANSWER_WITHIN_S = 3.0

_ANOTHER_MIRROR = (
    "if HF_ENDPOINT is set, unset it or name a mirror that you trust; then run the command again"
)
"""Fix where a Hub lies."""


def is_offline() -> bool:
    """True if the user told huggingface_hub to stay offline."""
    values = (os.environ.get(key, "") for key in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in values)


def endpoint() -> str:
    """Address of the Hub or its mirror, without a slash at the end."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def host() -> str:
    """Host name of the Hub, for messages."""
    with contextlib.suppress(ValueError):  # some texts are no URL
        return urlsplit(endpoint()).hostname or endpoint()
    return endpoint()


def check_reachable() -> None:
    """Ask the Hub for a sign of life; takes at most three seconds.

    Raises:
        ModelUnavailableError: None came; the message says why.
    """
    import httpx2

    reason = "no answer in 3 s"

    def probe() -> None:
        nonlocal reason
        try:
            status = httpx2.head(endpoint(), timeout=_ANSWER_WITHIN_S).status_code
        except Exception as error:  # proxies that cannot be used raise nearly anything
            reason = _reason(error)
        else:
            reason = f"it answers {status}" if status >= 500 else ""

    # A thread, because a name look-up that hangs cannot be interrupted; it dies with the process.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_ANSWER_WITHIN_S)
    if reason:
        raise _unreachable_error(reason)


def exact_file(reference: ModelReference) -> RemoteFile:
    """Ask the Hub which exact file a reference means.

    Raises:
        ModelNotFoundError: No such repository, revision, file or quant.
        ModelUnavailableError: Gated, or the Hub failed.
        ModelCorruptError: It has no checksum, another one than was published, or the answer is malformed.
    """
    commit, files = _repository(reference)
    file = reference.file if reference.file in files else None
    file = file or choose_file(files, reference.file or reference.quant)
    if file is None:
        raise _quant_error(reference, files)
    if (part := Part.of(file)) is not None:
        raise ModelUnavailableError(
            f"{reference.name} has {part.count} files on {host()}, and only models in one file are fetched",
            hint=f'hf download {reference.repo} --include "{part.stem}-*.gguf"; then this command finds it',
            slug="several-files",
        )
    remote = _exact(reference, commit, files[file])
    if reference.spec is not None and reference.spec.sha256 != remote.sha256:
        raise ModelCorruptError(
            f"{reference.name} on {host()} is not the file that was published",
            file,
            hint=_ANOTHER_MIRROR,
            slug="bad-checksum",
        )
    return remote


def download(remote: RemoteFile, area: Path, report: Report) -> Path:
    """Fetch a file into the staging area, resuming an earlier run.

    Returns:
        The file, not yet checked.

    Raises:
        ModelNotFoundError: The Hub does not have it.
        ModelUnavailableError: Gated, or the connection failed.
        ModelCorruptError: It is bigger than was published.
        OSError: The disk is full.
    """
    from . import http

    path = area / HUB_PART
    if path.exists() and path.stat().st_size >= remote.size_bytes:
        return path  # killed between the last byte and the check

    def on_bytes(count: int) -> None:
        report(Transfer(remote.name, count, remote.size_bytes))

    with _translate_errors(remote.repo, remote.name):
        url = _file_url(remote.repo, remote.file, remote.hub_revision)
        http.download(_request(url), path, remote.size_bytes, on_bytes)
    return path


def read_unverified(repo: str, file: str, revision: str | None, limit_bytes: int) -> bytes:
    """Read a file without a known digest into memory; ``revision`` None is ``main``.

    Raises:
        ModelNotFoundError, ModelUnavailableError: As ``download``.
        ModelCorruptError: It is bigger than the limit.
    """
    from . import http

    with _translate_errors(repo, f"{repo}/{file}"):
        return http.read(_request(_file_url(repo, file, revision)), limit_bytes).content


def read_part(repo: str, file: str, revision: str | None, start: int, stop: int) -> bytes:
    """Read a part of a file into memory, from byte ``start`` up to but not including ``stop``.

    Raises:
        ModelNotFoundError, ModelUnavailableError: As ``download``, or the Hub does not serve this part.
    """
    from . import http

    request = _request(_file_url(repo, file, revision), {"Range": f"bytes={start}-{stop - 1}"})
    with _translate_errors(repo, f"{repo}/{file}"):
        try:
            answer = http.read(request, stop - start)
            if answer.status_code == 206 and len(answer.content) == stop - start:
                return answer.content
        except ModelCorruptError:
            pass  # it began to send the whole file
    what = f"{file}, bytes {start:,} to {stop:,}"
    raise ModelUnavailableError(f"{host()} does not serve parts of files", what)


def _file_url(repo: str, file: str, revision: str | None) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repo, file, revision=revision, endpoint=endpoint())


def _request(url: str, more: Mapping[str, str] | None = None) -> Request:
    """A request to the Hub with the user's token, which a redirect to another host does not get."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, not listed

    from .http import TIMEOUT

    own = build_hf_headers(library_name="adascale") | dict(more or {})

    def send(headers: dict[str, str]) -> AbstractContextManager[httpx2.Response]:
        client = get_session()
        return client.stream("GET", url, headers=own | headers, follow_redirects=True, timeout=TIMEOUT)

    return send


def _repository(reference: ModelReference) -> tuple[str | None, dict[str, RepoSibling]]:
    """Ask the Hub's API for a repository's commit, and its files by name."""
    from huggingface_hub import ModelInfo
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, not listed

    from . import http

    at = f"/revision/{quote(reference.revision, safe='')}" if reference.revision else ""
    with _translate_errors(reference.repo, reference.name):
        validate_repo_id(reference.repo)
        page = http.read(_request(f"{endpoint()}/api/models/{reference.repo}{at}?blobs=true"))
    try:
        info = ModelInfo(**page.json())  # type: ignore[no-untyped-call]  # takes any keywords
        files = info.siblings or []
        return info.sha, {file.rfilename: file for file in files if isinstance(file.rfilename, str)}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise _answer_error(reference.name, "it does not describe a repository") from error


def _exact(reference: ModelReference, commit: str | None, file: RepoSibling) -> RemoteFile:
    """Describe one file of a repository by the Hub's answer.

    Raises:
        ModelCorruptError: It has no checksum, or the answer is malformed.
    """
    if file.lfs is None or commit is None:
        raise ModelCorruptError(
            f"{reference.name} has no checksum on {host()}, so it cannot be trusted",
            file.rfilename,
            hint=_ANOTHER_MIRROR,
            slug="bad-answer",
        )
    try:
        return RemoteFile(
            reference.name,
            reference.repo,
            commit,
            file.rfilename,
            file.lfs.size,
            file.lfs.sha256,
            reference.spec,
        )
    except ValueError as error:
        raise _answer_error(reference.name, str(error)) from error


@contextlib.contextmanager
def _translate_errors(repo: str, name: str) -> Iterator[None]:
    """Turn errors of requests to the Hub into ours, and keep huggingface_hub's own lines off stderr.

    Args:
        repo: Repository that is asked for.
        name: Model or file in it, for messages.

    Raises:
        ModelNotFoundError: No such repository, file or revision.
        ModelUnavailableError: Gated, or the Hub failed.
    """
    import httpx2
    from huggingface_hub.errors import HFValidationError

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except HFValidationError as error:
        raise ModelNotFoundError(f"{repo} cannot be the name of a repository", str(error)) from error
    except httpx2.HTTPStatusError as error:
        raise _refusal_error(error.response, repo, name) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _unreachable_error(_reason(error)) from error
    finally:
        logger.setLevel(level)


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
        f"cannot reach {host()} ({reason})",
        hint="check the connection, the proxy, HF_ENDPOINT and PIP_INDEX_URL; then run the command again",
    )


def _answer_error(name: str, fact: str) -> ModelCorruptError:
    return ModelCorruptError(
        f"the answer of {host()} about {name} is malformed",
        fact,
        hint=_ANOTHER_MIRROR,
        slug="bad-answer",
    )


def _quant_error(reference: ModelReference, files: Mapping[str, RepoSibling]) -> ModelNotFoundError:
    models = model_files(files)
    if not models:
        hint = "look for a repository of the same name that ends in -GGUF"
        return ModelNotFoundError(f"{reference.repo} has no GGUF file", hint=hint)
    sizes = {name: files[name].size for name in models}
    listing = ", ".join(
        f"{quant_of(name)} {human_bytes(size) if is_size(size) else '?'}" for name, size in sizes.items()
    )
    best = quant_of(choose_file(models, None) or models[0])
    return ModelNotFoundError(
        f'{reference.repo} has no quant "{reference.file or reference.quant}"',
        f"it has: {listing}",
        hint=command("pull", f"{reference.repo}:{best}"),
        slug="no-such-quant",
    )


def _reason(error: BaseException) -> str:
    """The message of a network error, without its class and number."""
    text = str(error) or type(error).__name__
    return text.partition("] ")[2] or text
