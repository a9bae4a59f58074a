"""Checks that trainers take every format: 20 steps of TRL's own trainers on a tiny random model.

Usage: ``python -m bench.evidence.train_prm SOURCE [--only FORMAT ...] [--keep FOLDER]``,
after ``pip install 'adascale[train]'``

``SOURCE`` is what ``adascale export --from`` takes; every format is exported from it. Formats that no trainer
of TRL reads are converted first, as a user would. A format passes if the mean loss of the last five steps is
below that of the first five. The loss of GRPO says nothing, as its advantages sum to zero: there the reward
has to rise. ``--keep`` leaves the datasets and the model in a folder, for the commands of docs/export.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import datasets
import transformers
from datasets import Dataset, load_dataset
from transformers import AutoModelForTokenClassification, AutoTokenizer, Trainer
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer
from trl.experimental.prm import PRMConfig, PRMTrainer

from adascale.export.formats import FORMATS, FormatName

from ..common import close, table
from .tiny_model import save_tiny_model

Row = dict[str, Any]

_ROWS = 4
"""Rows that are trained on, all in every step, so that the losses of two steps compare."""

_TOKENS = 512
"""Tokens of a row that are read; the tiny tokenizer makes one of every byte."""

_SETTINGS: Mapping[str, Any] = {
    "max_steps": 20,
    "per_device_train_batch_size": _ROWS,
    "learning_rate": 3e-3,
    "lr_scheduler_type": "constant",
    "gradient_checkpointing": False,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "use_cpu": True,
    "bf16": False,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A format and the trainer that is to take it.

    Attributes:
        build: The trainer of a model, a dataset and a folder for what it writes.
        convert: What the trainer reads of a row, where it does not read the format itself.
        rises: What has to rise, where it is not the loss that has to fall.
    """

    build: Callable[[str, Dataset, str], Trainer]
    convert: Callable[[Row], Iterator[Row]] | None = None
    rises: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The watched figure over the steps of a trial: ``first`` and ``last`` are means of five."""

    format: FormatName
    trainer: str
    rows: int
    watched: str
    first: float
    last: float
    passed: bool
    seconds: float


def prm(model: str, data: Dataset, output: str) -> PRMTrainer:
    return PRMTrainer(
        AutoModelForTokenClassification.from_pretrained(model, num_labels=2),
        PRMConfig(output, max_length=_TOKENS, **_SETTINGS),
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(model),
    )


def dpo(model: str, data: Dataset, output: str) -> DPOTrainer:
    return DPOTrainer(model, args=DPOConfig(output, max_length=_TOKENS, **_SETTINGS), train_dataset=data)


def sft(model: str, data: Dataset, output: str) -> SFTTrainer:
    return SFTTrainer(model, args=SFTConfig(output, max_length=_TOKENS, **_SETTINGS), train_dataset=data)


def grpo(model: str, data: Dataset, output: str) -> GRPOTrainer:
    """Eight completions of 16 tokens for each of the rows in every step."""
    settings = {**_SETTINGS, "per_device_train_batch_size": 8 * _ROWS, "learning_rate": 1e-2}
    config = GRPOConfig(output, num_generations=8, max_completion_length=16, **settings)
    return GRPOTrainer(model, reward_funcs=shared_letters, args=config, train_dataset=data)


def shared_letters(completions: list[list[Row]], ground_truth: list[str], **_: Any) -> list[float]:
    """A reward that a random model can raise: the share of its letters that the right answer has too."""
    texts = [completion[-1]["content"] for completion in completions]
    return [
        fmean(letter in right for letter in text) if text else 0.0
        for text, right in zip(texts, ground_truth, strict=True)
    ]


def from_soft_step(row: Row) -> Iterator[Row]:
    """The prefix as one step of ``trl-prm``; the question alone has none."""
    if row["reasoning_prefix"]:
        good = row["success_prob"] >= 0.5
        yield {"prompt": row["question"], "completions": [row["reasoning_prefix"]], "labels": [good]}


def from_verl(row: Row) -> Iterator[Row]:
    """As ``grpo`` has it; verl's own trainer reads the row itself."""
    yield {"prompt": row["prompt"], "ground_truth": row["reward_model"]["ground_truth"]}


TRIALS: Mapping[FormatName, Trial] = {
    "trl-prm": Trial(prm),
    "trl-preference": Trial(dpo),
    "grpo": Trial(grpo, rises="reward"),
    "sft": Trial(sft),
    "verl": Trial(grpo, from_verl, rises="reward"),
    "soft-steps": Trial(prm, from_soft_step),
}


def export_and_load(name: FormatName, source: str, folder: Path) -> Dataset:
    """A dataset of the source as ``datasets`` loads it."""
    suffix = FORMATS[name].suffix
    reader = "parquet" if suffix == ".parquet" else "json"
    path = folder / f"{name}{suffix}"
    command = [sys.executable, "-m", "adascale", "export", "--to", name, "--from", source, "--overwrite"]
    subprocess.run([*command, "-o", str(path)], check=True)
    return load_dataset(reader, data_files=str(path), split="train", cache_dir=str(folder / "cache"))


def attempt(name: FormatName, source: str, folder: Path) -> Result:
    """Export a format, train on it for 20 steps, and compare both ends."""
    trial, data, started = TRIALS[name], export_and_load(name, source, folder), time.monotonic()
    rows = len(data)
    if trial.convert is not None:
        data = Dataset.from_list([new for row in data for new in trial.convert(row)])
    transformers.set_seed(0)
    few = data.select(range(min(_ROWS, len(data))))
    trainer = trial.build(str(folder / "tiny"), few, str(folder / "trained"))
    trainer.train()
    watched = trial.rises or "loss"
    values = [entry[watched] for entry in trainer.state.log_history if watched in entry]
    first, last = fmean(values[:5]), fmean(values[-5:])
    passed = last > first if trial.rises else last < first
    seconds = round(time.monotonic() - started, 1)
    return Result(
        name, type(trainer).__name__, rows, watched, round(first, 3), round(last, 3), passed, seconds
    )


def main() -> None:
    names: Sequence[FormatName] = get_args(FormatName)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    datasets.disable_progress_bars()
    transformers.set_seed(0)
    with ExitStack() as stack:
        folder = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        save_tiny_model(folder / "tiny")
        results = [attempt(name, args.source, folder) for name in args.only]
    header = [field.name for field in fields(Result)]
    table(header, [[str(value) for value in astuple(result)] for result in results])
    versions = {name: version(name) for name in ("trl", "datasets", "transformers", "torch")}
    close({"versions": versions, "passed": all(result.passed for result in results)})


if __name__ == "__main__":
    main()
