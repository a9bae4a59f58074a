"""The Hugging Face Hub: is it there, which file is meant, and fetch it.

huggingface_hub has the addresses, the user's token and the client. Its own transfer deletes what a broken
connection has brought, takes more bytes than were published and puts no bound to an answer, so the answers
are read by ``http``. Whether there is a network at all is asked first, within three seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as urlquote
from urllib.parse import urlsplit

from adascale.engine.decimals import human_bytes
from adascale.engine.errors import (
    ModelCorruptError,
    ModelError,
    ModelNotFoundError,
    ModelUnavailableError,
    command,
    setting,
)

from ..gguf.split import Part
from ..local.cache import HUB_PART
from ..progress import Report, Transfer
from ..reference import ModelReference, RemoteFile, choose_file, model_files, quant_of
from ..validation import is_commit, is_file_name, is_sha256, is_size, quote

if TYPE_CHECKING:
    import httpx2

    from .http import Request

# Name look-up has no timeout of its own, so the whole question gets one.
_ANSWER_WITHIN_S = 3.0


def is_offline() -> bool:
    """Whether the user told huggingface_hub to stay offline."""
    values = (os.environ.get(key, "") for key in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in values)


def endpoint() -> str:
    """The Hub or its mirror, without a slash at the end."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def host() -> str:
    """The Hub's host name, for messages."""
    with contextlib.suppress(ValueError):  # some texts are no URL
        return urlsplit(endpoint()).hostname or endpoint()
    return endpoint()


def check_reachable() -> None:
    """Ask the Hub for a sign of life; takes at most three seconds.

    Raises:
        ModelUnavailableError: None came; the message says why.
    """
    outcome = ["no answer in 3 s"]
    # A thread, because a name look-up that hangs cannot be interrupted; it dies with the process.
    thread = threading.Thread(target=_probe, args=(outcome,), daemon=True)
    thread.start()
    thread.join(_ANSWER_WITHIN_S)
    if outcome[0]:
        raise _unreachable_error(outcome[0])


def look_up(reference: ModelReference) -> RemoteFile:
    """Ask the Hub which exact file a reference means.

    Raises:
        ModelNotFoundError: No such repository, revision, file or quant.
        ModelUnavailableError: Gated, or the Hub failed.
        ModelCorruptError: It has no checksum, another one than was published, or the answer is malformed.
    """
    commit, files = _repository(reference)
    sizes = {name: entry["size"] if is_size(entry.get("size")) else 0 for name, entry in files.items()}
    file = reference.file if reference.file in files else None
    file = file or choose_file(files, reference.file or reference.quant)
    if file is None:
        raise _quant_error(reference, sizes)
    if (part := Part.of(file)) is not None:
        raise _parts_error(reference, part)
    remote = _exact(reference, commit, file, files[file].get("lfs"))
    known = reference.spec.sha256 if reference.spec else None
    if known not in (None, remote.sha256):
        raise ModelCorruptError(f"{reference.name} on {host()} is not the file that was published", file)
    return remote


def look_up_files(repo: str, revision: str | None, suffix: str) -> list[RemoteFile]:
    """The exact files of a repository whose names end with ``suffix``, sorted.

    Raises:
        ModelNotFoundError, ModelUnavailableError, ModelCorruptError: as ``look_up``.
    """
    reference = ModelReference(repo, repo, revision)
    commit, files = _repository(reference)
    names = sorted(name for name in files if name.endswith(suffix))
    return [_exact(reference, commit, name, files[name].get("lfs")) for name in names]


def _exact(reference: ModelReference, commit: Any, file: str, lfs: Any) -> RemoteFile:
    """One file of a repository, from what the Hub says of it.

    Raises:
        ModelCorruptError: It has no checksum, or what is said of it is malformed.
    """
    if lfs is None or commit is None:
        raise ModelCorruptError(
            f"{reference.name} has no checksum on {host()}, so it cannot be trusted", file
        )
    size, sha256 = lfs.get("size"), lfs.get("sha256")
    _check_forms(reference.name, commit, file, size, sha256)
    return RemoteFile(reference.name, reference.repo, commit, file, size, sha256, reference.spec)


def read(remote: RemoteFile) -> bytes:
    """A small file, verified, in memory.

    Raises:
        ModelNotFoundError, ModelUnavailableError: as ``download``.
        ModelCorruptError: It is not the file that was published.
    """
    from . import http

    with translate_errors(remote.repo, remote.name):
        url = file_url(remote.repo, remote.file, remote.hub_revision)
        data = http.read(request(url), remote.size_bytes).content
    if hashlib.sha256(data).hexdigest() != remote.sha256:
        raise ModelCorruptError(f"{remote.file} of {remote.repo} is not the file that was published")
    return data


def download(remote: RemoteFile, area: Path, report: Report) -> Path:
    """Fetch a file into the staging area, resuming what an earlier run left there.

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
        # Killed between the last byte and the check; more bytes than that can only be wrong.
        return path

    def on_bytes(count: int) -> None:
        report(Transfer(remote.name, count, remote.size_bytes))

    with translate_errors(remote.repo, remote.name):
        url = file_url(remote.repo, remote.file, remote.hub_revision)
        http.download(request(url), path, remote.size_bytes, on_bytes)
    return path


def file_url(repo: str, file: str, revision: str | None) -> str:
    """Where the Hub has a file; ``revision`` None is ``main``."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repo, file, revision=revision, endpoint=endpoint())


def request(url: str) -> Request:
    """A request to the Hub, with the user's token, which a redirect to another host does not get."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, not listed

    from .http import TIMEOUT

    own = build_hf_headers(library_name="adascale")

    def send(headers: dict[str, str]) -> AbstractContextManager[httpx2.Response]:
        client = get_session()
        return client.stream("GET", url, headers=own | headers, follow_redirects=True, timeout=TIMEOUT)

    return send


@contextlib.contextmanager
def translate_errors(repo: str, name: str) -> Iterator[None]:
    """Turn errors of requests to the Hub into ours, and keep huggingface_hub's own lines off stderr.

    Args:
        repo: The repository that is asked for.
        name: The model or file in it, for messages.

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


def _repository(reference: ModelReference) -> tuple[Any, dict[str, dict[str, Any]]]:
    """Ask the Hub's API about a repository.

    Returns:
        Its commit, and by name what is said of each file; files whose name is no text are left out.
    """
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, not listed

    from . import http

    at = f"/revision/{urlquote(reference.revision, safe='')}" if reference.revision else ""
    with translate_errors(reference.repo, reference.name):
        validate_repo_id(reference.repo)
        page = http.read(request(f"{endpoint()}/api/models/{reference.repo}{at}?blobs=true")).content
    try:
        info = json.loads(page)
        files = {
            entry["rfilename"]: entry for entry in info["siblings"] if isinstance(entry["rfilename"], str)
        }
        if not all(isinstance(entry.get("lfs"), dict | None) for entry in files.values()):
            raise TypeError("lfs is no object")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _answer_error(reference.name, "it does not describe a repository") from error
    return info.get("sha"), files


def _refusal_error(response: httpx2.Response, repo: str, name: str) -> ModelError:
    """What a refusal means; the Hub hides from strangers what is private."""
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    if code == "GatedRepo":
        return _gated_error(repo, logged_in=status == 403)
    if code == "RepoNotFound" or status == 401:
        hint = "check the spelling; if it is private: hf auth login"
        return ModelNotFoundError(f"{host()} has no model {repo}", "not found, or private", hint=hint)
    if code in ("RevisionNotFound", "EntryNotFound"):
        return ModelNotFoundError(f"{repo} has no such file or revision", name)
    return _unreachable_error(f"it answers {status}")


def _check_forms(name: str, commit: object, file: object, size: object, sha256: object) -> None:
    """Refuse an answer whose values are not what they should be: they become paths, and the proof.

    Raises:
        ModelCorruptError: One of them has another form; the facts say which.
    """
    checks = (
        (is_commit(commit), f"its commit is {quote(commit)}, not 40 hex digits"),
        (is_file_name(file), f"its file is {quote(file)}, not a name inside the repository"),
        (is_size(size), f"its size is {quote(size)}, not a number of bytes"),
        (is_sha256(sha256), f"its sha256 is {quote(sha256)}, not 64 lowercase hex digits"),
    )
    wrong = [fact for right, fact in checks if not right]
    if wrong:
        raise _answer_error(name, *wrong)


def _probe(outcome: list[str]) -> None:
    import httpx2

    try:
        status = httpx2.head(endpoint(), timeout=_ANSWER_WITHIN_S).status_code
    except Exception as error:  # proxies that cannot be used raise nearly anything
        outcome[0] = _reason(error)
    else:
        outcome[0] = f"it answers {status}" if status >= 500 else ""


def offline_error(name: str) -> ModelUnavailableError:
    """The model is not here and the network is off limits."""
    return ModelUnavailableError(
        "offline mode is on",
        f"{name} is not in the cache, so it has to be downloaded once",
        hint=f"leave out {setting('offline')}, unset HF_HUB_OFFLINE, then run the same command again",
        slug="offline",
    )


def _gated_error(repo: str, *, logged_in: bool) -> ModelUnavailableError:
    page = f"{endpoint()}/{repo}"
    return ModelUnavailableError(
        f"{repo} needs permission from its owner",
        "your account has no access yet" if logged_in else "you are not logged in to Hugging Face",
        hint=f"ask for access at {page}" + ("" if logged_in else ", then run: hf auth login"),
        slug="gated-repo",
    )


def _unreachable_error(reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"cannot reach {host()} ({reason})",
        hint="check the connection or proxy; behind a mirror set HF_ENDPOINT; then run the command again",
    )


def _answer_error(name: str, *facts: str) -> ModelCorruptError:
    return ModelCorruptError(
        f"the answer of {host()} about {name} is malformed",
        *facts,
        hint="if HF_ENDPOINT is set, unset it or name a mirror that you trust; then run the command again",
        slug="bad-answer",
    )


def _quant_error(reference: ModelReference, sizes: dict[str, int]) -> ModelNotFoundError:
    models = model_files(sizes)
    if not models:
        hint = "look for a repository of the same name that ends in -GGUF"
        return ModelNotFoundError(f"{reference.repo} has no GGUF file", hint=hint)
    listing = ", ".join(f"{quant_of(name)} {human_bytes(sizes[name])}" for name in models)
    best = quant_of(choose_file(models, None) or models[0])
    return ModelNotFoundError(
        f'{reference.repo} has no quant "{reference.file or reference.quant}"',
        f"it has: {listing}",
        hint=command("models", "pull", f"{reference.repo}:{best}"),
        slug="no-such-quant",
    )


def _parts_error(reference: ModelReference, part: Part) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"{reference.name} has {part.count} files on {host()}, and only models in one file are fetched",
        hint=f'hf download {reference.repo} --include "{part.stem}-*.gguf"; then the same command finds it',
        slug="several-files",
    )


def _reason(error: BaseException) -> str:
    """The message of a network error, without its class and number."""
    text = str(error) or type(error).__name__
    return text.partition("] ")[2] or text
