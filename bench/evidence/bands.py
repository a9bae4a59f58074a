"""How often answers of each band are correct, by kind: the counts of ``engine.bands``.

Usage: ``python -m bench.evidence.bands bench/draws/*.jsonl.gz --everyday OUTCOMES.jsonl --sets FILE ...``

Values are searched again from recorded solutions, with a fit and without; looks at options have the weights
that ship; facts are played as ``facts`` plays them, with their questions in ``--sets``; ``--everyday`` is
what ``everyday -o`` wrote. A word of the table is one that its kind carries.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from adascale.engine.bands import LEAST, Band, band_of
from adascale.engine.calibration.options import OPTIONS, OWN_OPTIONS
from adascale.engine.calibration.posterior import Posterior
from adascale.engine.request import Settings
from adascale.engine.strategies import Adaptive, preset
from adascale.engine.types import KindName, probability_of
from adascale.models.files.catalog import catalog

from ..common import close, level, read_lines, share, table
from . import choices, facts, recorded_draws, seconds

PRIOR = "prior"
CURVE = "zen4"
ORDERS = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer with its probability: that of a fitted generator, or of models without a fit."""

    model: str
    kind: KindName
    p: float
    right: bool
    options: int = 0

    @property
    def band(self) -> Band:
        """The word for its number, whatever its kind carries."""
        return band_of(self.p, {}, self.options)


def values(path: Path) -> Iterator[Shown]:
    """Answers of ``adaptive`` on recorded solutions, with the fit and without."""
    header, _ = recorded_draws.load(path)
    curve = seconds.curve_of(CURVE, header["model"])
    unfitted = Posterior(prior=recorded_draws.expected_rate(header))
    for model, calibrator in ((header["model"], None), (PRIOR, unfitted)):
        replay = recorded_draws.replay_driver(path, ORDERS, calibrator=calibrator, curve=curve)
        strategy = recorded_draws.within(Adaptive(modes=("prose", "program")), header)
        schedule = curve.best_schedule(Adaptive().samples)
        for order, problem in itertools.product(range(ORDERS), replay.problems):
            settings = Settings(strategy, seed=header["seed"] + order, schedule=schedule)
            figures, estimate = seconds.search(replay.driver, problem, settings)
            if (p := probability_of(estimate)) is not None:
                yield Shown(model, "value", p, bool(figures[seconds.RIGHT]))


def looks(path: Path) -> Iterator[Shown]:
    """The option that a look favours, in both orders."""
    model = f"qwen2.5-coder-{path.name.split('-')[1]}"
    spec = catalog()[model]
    for record in read_lines(path):
        kind: KindName = record["kind"]
        weights = {model: OWN_OPTIONS[spec.sha256][kind], PRIOR: OPTIONS[kind].of_size(spec.parameters or 0)}
        for name, own in weights.items():
            played = choices.play(record, own)["both orders read"]
            assert played.p is not None, "looks have a probability"
            yield Shown(name, kind, played.p, played.right, len(record["looks"][0]))


def short_facts(path: Path, sets: list[Path]) -> Iterator[Shown]:
    """Greedy answers, with three others beside them, by a model and by any."""
    size = path.name.split("-")[1]
    model = {"135m": "smollm2-135m"}.get(size, f"qwen2.5-coder-{size}")
    for question, record in facts.rows_of(path, sets):
        played = facts.play(question, record, preset("fact", "medium"))
        if played.p is not None:
            yield from (Shown(name, "fact", played.p, played.right) for name in (model, PRIOR))


def everyday(path: Path) -> Iterator[Shown]:
    """Answers that were drawn live; only values have a fit."""
    for each in read_lines(path):
        if each["p"] is not None:
            model = each["model"] if each["kind"] == "value" else PRIOR
            kind: KindName = "value" if each["kind"] == "date" else each["kind"]
            yield Shown(model, kind, each["p"], each["right"], 2 if kind == "yes-no" else 0)


def counts_of(shown: Iterable[Shown]) -> Mapping[str, Mapping[KindName, Mapping[Band, tuple[int, int]]]]:
    """``engine.bands.MEASURED`` of these answers."""
    all_, right = Counter[tuple[str, KindName, Band]](), Counter[tuple[str, KindName, Band]]()
    for each in shown:
        all_[each.model, each.kind, each.band] += 1
        right[each.model, each.kind, each.band] += each.right
    found: dict[str, dict[KindName, dict[Band, tuple[int, int]]]] = defaultdict(dict)
    for (model, kind, band), n in sorted(all_.items(), key=lambda item: [*LEAST].index(item[0][2])):
        found[model].setdefault(kind, {})[band] = (n, right[model, kind, band])
    return dict(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("drawn", type=Path, nargs="+")
    parser.add_argument("--everyday", type=Path)
    parser.add_argument("--sets", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    shown: list[Shown] = [] if args.everyday is None else [*everyday(args.everyday)]
    for path in args.drawn:
        begins = path.name.split("-")[0]
        if begins in ("frozen", "votes"):
            shown += values(path)
        elif begins in ("looks", "options"):
            shown += looks(path)
        elif begins == "facts" and args.sets:
            shown += short_facts(path, args.sets)
    counts = counts_of(shown)
    rows = []
    for model, kind in sorted({(each.model, each.kind) for each in shown}):
        own = [each for each in shown if (each.model, each.kind) == (model, kind)]
        said = defaultdict(list)
        for each in own:
            said[band_of(each.p, counts[model][kind], each.options)].append(each.right)
        cells = [f"{len(said[band])}, {share(said[band])}" if said[band] else "-" for band in LEAST]
        rows.append([model, kind, str(len(own)), f"{fmean(each.right for each in own):.3f}",
                     level([(each.p, each.right) for each in own]), *cells])  # fmt: skip
    every = [(each.p, each.right) for each in shown]
    rows.append(["all", "", str(len(every)), f"{fmean(right for _, right in every):.3f}", level(every)])
    rows[-1] += [""] * len(LEAST)
    table(["model", "kind", "answers", "right", "ECE (noise)", *LEAST], rows)
    for model, kinds in counts.items():
        for kind, own_counts in kinds.items():
            pairs = (own_counts.get(band) for band in LEAST)
            print(model, kind, *(f"{pair[1]}/{pair[0]}" if pair else "-" for pair in pairs))
    close({"answers": len(shown)})


if __name__ == "__main__":
    main()
