"""``batch -o ray``: two nodes of a Ray cluster on this machine, and one of them lost on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from commands import Home, wait_until

QUESTIONS = 40

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(chain_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home.asking(tmp_path_factory.mktemp("home"), chain_gguf, QUESTIONS)


@pytest.fixture(scope="module")
def cluster(home: Home) -> Iterator[Any]:
    """Two nodes that share nothing but this machine."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def command(home: Home, out: Path, *more: str) -> list[str]:
    run = [sys.executable, "-m", "adascale", "batch", str(home.data), "--output", str(out)]
    run += ["-m", str(home.model)]
    return [*run, "--strategy", "vote", "-o", "samples", "32", "--seed", "1", *more]


def answers(out: Path) -> dict[str, Any]:
    found = [json.loads(line) for line in out.read_text().splitlines()]
    by_id = {record["id"]: (record["answer"], record.get("agreement")) for record in found}
    assert len(by_id) == len(found) == QUESTIONS
    return by_id


@pytest.fixture(scope="module")
def alone(home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("alone") / "out.jsonl"
    subprocess.run(command(home, out, "-q"), env=home.env, check=True)
    return answers(out)


def engines() -> list[psutil.Process]:
    """Actors on all nodes."""
    found = psutil.process_iter(["cmdline"])
    return [p for p in found if "ray::Engine" in " ".join(p.info["cmdline"] or [])]


def test_two_nodes_give_the_same_records_as_none(
    home: Home, cluster: Any, alone: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    done = subprocess.run(
        command(home, out, "-o", "ray", cluster.address), env=home.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "2 engines" in done.stderr
    assert "Traceback" not in done.stderr
    assert answers(out) == alone


def test_an_engine_that_is_killed_loses_nothing(
    home: Home, cluster: Any, alone: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    run = command(home, out, "-o", "ray", cluster.address)
    with subprocess.Popen(run, env=home.env, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: out.exists() and bool(out.read_text()))
        engines()[0].kill()
        _, err = process.communicate(timeout=90)
    assert "was lost" in err
    lost = [line for line in out.read_text().splitlines() if json.loads(line)["status"] == "interrupted"]
    assert process.returncode == (6 if lost else 0)
    subprocess.run(command(home, out, "-q"), env=home.env, check=True)  # without the cluster: the same run
    assert answers(out) == alone


def test_a_cluster_that_does_not_answer(home: Home, tmp_path: Path) -> None:
    done = subprocess.run(
        command(home, tmp_path / "out.jsonl", "-o", "ray", "127.0.0.1:1"),
        env=home.env,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert "error[no-cluster]" in done.stderr
    assert "ray start --head" in done.stderr
    assert "Loading" not in done.stderr
    assert "Traceback" not in done.stderr
