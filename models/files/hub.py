"""The Hugging Face Hub: is it there, which file is meant, and fetch it.

huggingface_hub does the transfer (Xet, tokens, mirrors by HF_ENDPOINT). It needs 23 s and eleven log lines
to find out that there is no network, so that is asked first and separately.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
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

from .progress import Report, Transfer
from .reference import ModelReference, RemoteFile, choose_file, model_files, quant_of
from .validation import is_commit, is_file_name, is_sha256, is_size, quote

# Name look-up has no timeout of its own, so the whole question gets one.
_ANSWER_WITHIN_S = 3.0


def is_offline() -> bool:
    """Whether the user told huggingface_hub to stay offline."""
    values = (os.environ.get(key, "") for key in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in values)


def endpoint() -> str:
    """The Hub or its mirror, without a slash at the end."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def host() -> str:
    """The Hub's host name, for messages."""
    return urlsplit(endpoint()).hostname or endpoint()


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
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint(), library_name="adascale")
    with quiet():
        try:
            info = api.model_info(
                reference.repo, revision=reference.revision, files_metadata=True, timeout=10
            )
        except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
            raise _answer_error(reference.name, "it does not describe a repository") from error
        except Exception as error:
            raise explain(error, reference.repo, reference.name) from error
    siblings = [item for item in info.siblings or () if isinstance(item.rfilename, str)]
    sizes = {item.rfilename: item.size if is_size(item.size) else 0 for item in siblings}
    file = (
        reference.file if reference.file in sizes else choose_file(sizes, reference.file or reference.quant)
    )
    if file is None:
        raise _quant_error(reference, sizes)
    lfs = next(item.lfs for item in siblings if item.rfilename == file)
    if lfs is None or info.sha is None:
        raise ModelCorruptError(
            f"{reference.name} has no checksum on {host()}, so it cannot be trusted", file
        )
    _check_forms(reference.name, info.sha, file, lfs.size, lfs.sha256)
    known = reference.spec.sha256 if reference.spec else None
    if known not in (None, lfs.sha256):
        raise ModelCorruptError(f"{reference.name} on {host()} is not the file that was published", file)
    return RemoteFile(reference.name, reference.repo, info.sha, file, lfs.size, lfs.sha256, reference.spec)


def download(remote: RemoteFile, area: Path, report: Report) -> Path:
    """Fetch a file into the staging area.

    Returns:
        The file, not yet checked.

    Raises:
        ModelNotFoundError: The Hub does not have it.
        ModelUnavailableError: Gated, or the connection failed.
        ModelCorruptError: The answer is malformed.
        OSError: The disk is full.
    """
    from huggingface_hub import hf_hub_download

    place = area / "hub"
    # huggingface_hub cannot go on with what a killed run left.
    shutil.rmtree(place, ignore_errors=True)
    with quiet():
        try:
            path = hf_hub_download(
                remote.repo,
                remote.file,
                revision=remote.revision,
                # Not as a cache: there the ETag, which is the server's word, becomes a path.
                local_dir=place,
                # Else it takes the file from the user's cache, from which --force wants it afresh.
                cache_dir=place / ".cache",
                endpoint=endpoint(),
                library_name="adascale",
                tqdm_class=_bar_class(remote, report),
            )
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            if _has_impossible_name(error, place):
                # Of what names the files in there only the ETag is unchecked: one with slashes, or too long.
                raise _answer_error(remote.name, "its ETag is no digest") from error
            raise explain(error, remote.repo, remote.name) from error
    return Path(path).resolve()


def _has_impossible_name(error: Exception, folder: Path) -> bool:
    """Whether an error is that of a file in ``folder`` whose name the file system refuses."""
    if not isinstance(error, OSError) or error.errno not in (errno.ENOENT, errno.ENAMETOOLONG):
        return False
    return Path(str(error.filename)).is_relative_to(folder.resolve())


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
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        outcome[0] = _reason(error)
    else:
        outcome[0] = f"it answers {status}" if status >= 500 else ""


def _bar_class(remote: RemoteFile, report: Report) -> type[Any]:
    """A stand-in for tqdm that passes the bytes on."""

    class Bar:
        total = remote.size_bytes

        def __init__(self, *_: object, initial: int = 0, **__: object) -> None:
            self.n = initial

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, count: int = 1) -> None:
            self.n += count
            report(Transfer(remote.name, self.n, remote.size_bytes))

        # Xet counts bytes on the wire and on the disk; whoever has this method gets one bar for both.
        def update_transfer(self, count: int) -> None: ...

        def set_postfix_str(self, *_: object, **__: object) -> None: ...

        def set_transfer_postfix_str(self, *_: object, **__: object) -> None: ...

        def refresh(self) -> None: ...

        def close(self) -> None: ...

    return Bar


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep huggingface_hub's own lines off stderr while our display is up."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def explain(error: Exception, repo: str, name: str) -> ModelError:
    """Our error for one of huggingface_hub's; subclasses are tested before their bases."""
    from huggingface_hub import errors

    # "Not in the cache" is what it says of every failed request; the reason is behind it.
    cause = (isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__) or error
    status = getattr(getattr(cause, "response", None), "status_code", 0)
    if isinstance(cause, errors.GatedRepoError):
        return _gated_error(repo, logged_in=status == 403)
    if isinstance(cause, errors.RepositoryNotFoundError) or status == 401:
        hint = "check the spelling; if it is private: hf auth login"
        return ModelNotFoundError(f"{host()} has no model {repo}", "not found, or private", hint=hint)
    if isinstance(cause, errors.RevisionNotFoundError | errors.EntryNotFoundError):
        return ModelNotFoundError(f"{repo} has no such file or revision", name)
    if isinstance(cause, errors.HFValidationError):
        return ModelNotFoundError(f"{repo} cannot be the name of a repository", str(cause))
    if isinstance(cause, errors.OfflineModeIsEnabled):
        return offline_error(name)
    return _unreachable_error(f"it answers {status}" if status else _reason(cause))


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


def _reason(error: BaseException) -> str:
    """The message of a network error, without its class and number."""
    text = str(error) or type(error).__name__
    return text.partition("] ")[2] or text
