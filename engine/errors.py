"""Every error a caller can meet, how its text names a setting, and how texts write numbers.

Errors hold plain text and facts, no markup and no terminal; ``cli`` alone turns them into
``error[slug]: ... / hint: ...`` and an exit code of the process.

A setting or a command in a text stands between backticks, a setting as Python has it: "`ctx_size=1024` needs
2 GB" (``setting``, ``command``). A caller in Python reads it as it is; each edge respells it: the command
line as ``-o ctx_size 1024``, a server as its field (``respell``).
"""

from __future__ import annotations

import codecs
import errno
import re
import shlex
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from .types import Notice

_MARKED = re.compile(r"`(?:(adascale [^`]*)|([a-z_]+)(?:=([^`]*))?)`")


class AdascaleError(Exception):
    """Base of all errors that are shown to a user.

    Attributes:
        message: The fault in one line, without a full stop.
        facts: Numbers, paths and names that explain it, one per line.
        hint: Command or change that mends it; empty without any.
        slug: Stable identifier, also ``error.code`` in JSON output.
        default_slug: Identifier of errors of this class that have none of their own.
    """

    default_slug: ClassVar[str] = "failed"

    def __init__(self, message: str, *facts: str, hint: str = "", slug: str = "") -> None:
        super().__init__(message)
        self.message, self.facts, self.hint = message, facts, hint
        self.slug = slug or self.default_slug

    @property
    def notice(self) -> Notice:
        """The error as events and messages carry it."""
        return Notice(self.slug, self.message, self.facts, self.hint)


E = TypeVar("E", bound=AdascaleError)


class UsageError(AdascaleError):
    """An option, a value or an input file is wrong."""

    default_slug = "usage"


class ModelError(AdascaleError):
    """A model is not available."""

    default_slug = "model"


class ModelNotFoundError(ModelError):
    """No model, repository, file or quant of that name."""

    default_slug = "model-not-found"


class ModelUnavailableError(ModelError):
    """The model is known but cannot be fetched now (offline, no network, gated)."""

    default_slug = "no-network"


class ServerBusyError(ModelUnavailableError):
    """A server is busy, starts or has gone; it asks for ``pause`` seconds."""

    pause = 0.0


class ModelCorruptError(ModelError):
    """The file is no usable GGUF, is torn, or has the wrong checksum."""

    default_slug = "bad-gguf"


class TemplateRaisedError(ModelCorruptError):
    """A chat template raised an error on these messages; some do on an unknown role."""

    default_slug = "bad-template"


class CalibrationError(ModelError):
    """A calibration file is torn, tampered with or no calibration."""

    default_slug = "bad-calibration"


class DoesNotFitError(AdascaleError):
    """Memory, disk or context window is too small."""


class ContextOverflowError(DoesNotFitError):
    """A question is longer than the context window; nothing was cut off."""

    default_slug = "context-overflow"


class MemoryOverflowError(DoesNotFitError):
    """Weights, context and buffers need more memory than is free."""

    default_slug = "no-memory"


class DiskFullError(DoesNotFitError):
    """A download or a result file needs more disk than is free."""

    default_slug = "no-disk"


DEADLY_QUESTION = "deadly-question"
"""Slug of a WorkerDiedError for the question that is to blame."""


class WorkerDiedError(AdascaleError):
    """The process that hosts the models was killed, or llama.cpp aborted it."""

    default_slug = "worker-died"


class WorkerAbortedError(WorkerDiedError):
    """llama.cpp ended the process that hosts the models: an assertion failed, or a fault."""


class DecodeError(AdascaleError):
    """llama.cpp could not evaluate a batch."""

    default_slug = "decode"


class DecodeAbortedError(DecodeError):
    """The abort callback stopped the batch (llama_decode returned 2)."""

    default_slug = "aborted"


class TraceError(AdascaleError):
    """A trace file cannot be read."""

    default_slug = "bad-trace"


class PartialError(AdascaleError):
    """A batch came to its end, but some of its questions or lines failed."""

    default_slug = "batch-partial"


def combined_error(errors: Sequence[E], *facts: str) -> E:
    """The first error, with the messages of the others as facts.

    Args:
        errors: At least one.
        facts: Facts of the first one if it has none itself.
    """
    first, *others = errors
    messages = (other.message for other in others)
    return type(first)(first.message, *(first.facts or facts), *messages, hint=first.hint, slug=first.slug)


def restored_error(name: str, notice: Notice) -> AdascaleError:
    """The error of the class of that name; an ``AdascaleError`` for a name that this version lacks.

    Args:
        name: Name of a class in this module.
        notice: As the error had it.
    """
    error_class = globals().get(name)
    cls = (
        error_class
        if isinstance(error_class, type) and issubclass(error_class, AdascaleError)
        else AdascaleError
    )
    return cls(notice.message, *notice.facts, hint=notice.hint, slug=notice.code)


def reason_of(error: OSError) -> str:
    """The reason in the system's words: ``no such file or directory``."""
    return (error.strerror or str(error)).lower()


def is_disk_full(error: OSError) -> bool:
    """True if the disk, or the user's share of it, has no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def explained(error: Exception, hint: str) -> AdascaleError:
    """The error to show for an exception: itself if it is one of ours.

    Args:
        error: Any exception that was raised.
        hint: For a bug: how to see its traceback.
    """
    match error:
        case AdascaleError():
            return error
        case OSError(strerror=str(reason), filename=name):
            message = f"the system says: {reason.lower()}" + (f" ({excerpt(str(name), 80)})" if name else "")
            return (DiskFullError if is_disk_full(error) else AdascaleError)(message, slug="system")
        case MemoryError():
            return MemoryOverflowError("memory ran out")
        case _:
            text = f"{type(error).__name__}: {excerpt(str(error))}".removesuffix(": ")
            return AdascaleError(f"something unexpected went wrong: {text}", hint=hint, slug="unexpected")


def excerpt(text: str, characters: int = 200) -> str:
    """The beginning of a text from outside, as one line of a message.

    Control characters, and marks that turn the reading direction, are shown as escapes.
    """
    line = " ".join(text[:characters].split())
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return escaped if len(text) <= characters else f"{escaped}..."


def setting(name: str, value: bool | float | str | None = None) -> str:
    """A setting, and the value that it has or should have.

    Args:
        name: Name of a field of ``SessionOptions`` or of a strategy.
        value: None leaves it open.
    """
    if value is None:
        return f"`{name}`"
    return f'`{name}="{value}"`' if isinstance(value, str) else f"`{name}={value}`"


def conversion_hint(data: bytes) -> str:
    """How to convert text that is not in UTF-8, as its bytes suggest; UTF-16 comes from Windows."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data
    return f"convert it first, for example: iconv -f {'utf-16' if wide else 'latin1'} -t utf-8"


def command(*words: str) -> str:
    """A command of ``adascale`` to type into a shell."""
    return f"`{shlex.join(['adascale', *words])}`"


FETCH_AGAIN = f"fetch the file again, or take a known model: {command('list')}"
"""Hint of a model file that is damaged, or that llama.cpp does not load."""


def respell(text: str, spell: Callable[[str, str | None], str]) -> str:
    """The text with each setting as ``spell(name, value)`` has it, and with commands bare.

    Args:
        text: Text of an error or a warning.
        spell: Gets the value as text, without quotes; None if the text has no value.
    """

    def replacement(match: re.Match[str]) -> str:
        bare, name, value = match.groups()
        return str(bare) if bare else spell(name, None if value is None else value.strip('"'))

    return _MARKED.sub(replacement, text)


def decimal(value: float, form: str = ".3f") -> str:
    """``value`` in one of Python's formats, without a leading zero: ``.812``, ``-.05``, ``+.012``."""
    return re.sub(r"^([+-]?)0\.", r"\1.", format(value, form))


def human_bytes(count: int) -> str:
    """``98 MB`` or ``1.1 GB``; below a megabyte ``12 kB``."""
    if count >= 10**9:
        return f"{count / 10**9:.1f} GB"
    if count >= 10**6:
        return f"{count / 10**6:.0f} MB"
    return f"{count / 10**3:.0f} kB"


def gigabytes(count: int) -> str:
    """``0.7`` for 700 MB: a number to stand beside another one in the same sentence."""
    return f"{count / 10**9:.1f}"
