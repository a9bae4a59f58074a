"""adascale beside its peers: the same questions, machine and model file; right, tokens, seconds.

Usage:
``python -m bench.evidence.peers run MODEL DATA.jsonl -o FILE.jsonl --peers ENVIRONMENT [--questions 30]``
``python -m bench.evidence.peers table DATA.jsonl FILE.jsonl``

``ENVIRONMENT`` is a virtual environment with its-hub 1.2.0, optillm 0.4.0, callo 0.3.1 and
``llama-cpp-python[server]``; docs/research.md has how it is made. Peers run there, each as its own
README says (``peer_methods``), against llama-cpp-python's server and against ``adascale serve`` as a plain
chat. Every answer is a line, appended when it is there: the same command goes on. Methods follow each other,
the most telling first. Tokens are those that the servers count. Answers are judged by adascale's judge, from
the text that a peer shows.

Questions are of the training split, and none that a calibration of this machine was fitted on; peers.txt has
the ids.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import fmean, median
from threading import Thread
from typing import Any, Literal

from adascale.engine.kinds import kind_of
from adascale.engine.types import Problem
from adascale.models.questions import read_known

from ..common import close, listed, model_path, read_lines, table

IDS = Path(__file__).with_name("peers.txt")
_CLIENT = Path(__file__).with_name("peer_methods.py")
_WINDOW = 4096
_START_SECONDS = 600

Server = Literal["llama", "adascale", "none"]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table.

    Attributes:
        name: The peer, and what it does.
        server: The one that it asks.
        asked: What ``peer_methods`` is asked for, beside the question.
        technique: The technique of optillm, before the name of the model; empty for none.
    """

    name: str
    server: Server
    asked: Mapping[str, Any] | None = None
    technique: str = ""

    @property
    def row(self) -> str:
        """Its name in the file and in the table."""
        return self.name if self.server == "none" else f"{self.name} @ {self.server}"


def _its_hub(budget: int, server: Server = "llama", *, beta: bool = False) -> Method:
    name = f"its-hub {'Beta' if beta else 'self-consistency'} {budget}"
    return Method(name, server, {"budget": budget, "beta": beta, "at_once": 1 if server == "llama" else 32})


def _optillm(technique: str, server: Server) -> Method:
    return Method(f"optillm {technique}", server, {}, technique)


def _greedy(server: Server) -> Method:
    return Method("greedy", server, {"sampling": {"temperature": 0.0}})


METHODS: Sequence[Method] = (
    _greedy("llama"),
    _its_hub(8),
    _its_hub(4),
    Method("adascale ask", "none"),
    Method("adascale batch", "none"),
    _its_hub(16, beta=True),
    _its_hub(16),
    _optillm("cot_reflection", "llama"),
    _optillm("self_consistency", "llama"),
    _optillm("bon", "llama"),
    _greedy("adascale"),
    _its_hub(8, "adascale"),
    _optillm("cot_reflection", "adascale"),
    _optillm("self_consistency", "adascale"),
    _optillm("bon", "adascale"),
    Method("callo", "llama"),
)


class Bench:
    """One run: the servers that are up, and the file that its records go to.

    Args:
        model: Name of the model.
        peers: Environment of the peers.
        threads: Threads of each server.
        out: File of records.
    """

    def __init__(self, model: str, peers: Path, threads: int, out: Path) -> None:
        self.model, self.out = model, out
        self._python = peers / "bin" / "python"
        self._threads = threads
        self.records = read(out)

    def has(self, method: Method, id_: str) -> bool:
        """True if a method has answered a question."""
        return any(each["method"] == method.row and each["id"] == id_ for each in self.records)

    def keep(self, method: Method, id_: str, found: Mapping[str, Any]) -> None:
        """Append what a method gave for a question."""
        record = {"method": method.row, "model": self.model, "id": id_, **found}
        self.records.append(record)
        with self.out.open("a") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
        print(f"{method.row}: {id_}, {found.get('error') or round(found['seconds'], 1)}", flush=True)

    def kept_replies(self, id_: str) -> list[Any]:
        """Replies of llama-cpp-python's server that its-hub has drawn for a question so far."""
        mine = [each for each in self.records if each["id"] == id_ and each["method"].endswith("@ llama")]
        return [reply for each in mine for reply in each.get("drawn", ())]

    @contextmanager
    def server(self, name: Server) -> Iterator[str]:
        """A server with the model; its base URL."""
        port = _free_port()
        threads = str(self._threads)
        if name == "llama":
            # What a user would start; a seed of its own, since the default gives the same replies again.
            words = [self._python, "-m", "llama_cpp.server", "--model", model_path(self.model)]
            words += ["--model_alias", self.model, "--n_ctx", str(_WINDOW), "--port", str(port)]
            words += ["--n_threads", threads, "--n_threads_batch", threads]
            words += ["--seed", str(len(self.records) + 1)]
        else:
            words = [sys.executable, "-m", "adascale", "serve", "-m", self.model, "--port", str(port)]
            words += ["-o", "threads", threads, "-o", "ctx_size", str(_WINDOW)]
        with _running(words, f"http://127.0.0.1:{port}/v1/models", _log_of(self.out, name)):
            yield f"http://127.0.0.1:{port}/v1"

    @contextmanager
    def optillm(self, url: str) -> Iterator[str]:
        """The proxy of optillm in front of a server; its base URL."""
        port = _free_port()
        words = [self._python.with_name("optillm"), "--base-url", url, "--port", str(port)]
        with _running(words, f"http://127.0.0.1:{port}/health", _log_of(self.out, "optillm")):
            yield f"http://127.0.0.1:{port}/v1"

    def ask_peers(self, method: Method, todo: Sequence[Problem], upstream: str) -> None:
        """Ask a peer the questions that it lacks."""
        assert method.asked is not None, "adascale is asked in another way"
        model = self.model if method.server == "llama" else f"{self.model}:chat"
        with ExitStack() as stack:
            metered, tokens = stack.enter_context(_meter(upstream))
            url = stack.enter_context(self.optillm(metered)) if method.technique else metered
            words = [str(self._python), str(_CLIENT)]
            client = stack.enter_context(
                subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            assert client.stdin is not None
            assert client.stdout is not None
            stack.callback(client.stdin.close)
            for problem in todo:
                before = tokens()
                asked = {"url": url, "model": f"{method.technique}-{model}" if method.technique else model}
                asked |= {"question": problem.question, **method.asked}
                kept = self.kept_replies(problem.id) if method.server == "llama" else []
                client.stdin.write(json.dumps(asked | {"kept": kept}) + "\n")
                client.stdin.flush()
                found = json.loads(client.stdout.readline())
                if "budget" not in method.asked and "error" not in found:
                    found["tokens"] = tokens() - before  # those of all its requests
                self.keep(method, problem.id, found)

    def ask_adascale(self, method: Method, todo: Sequence[Problem]) -> None:
        """``adascale ask``, which opens the model for each question."""
        for problem in todo:
            words = ["ask", "--json", "-m", self.model, "-o", "threads", str(self._threads), problem.question]
            began = time.monotonic()
            shown = _adascale(words)
            self.keep(method, problem.id, _ours(json.loads(shown), time.monotonic() - began))

    def batch_adascale(self, method: Method, todo: Sequence[Problem]) -> None:
        """``adascale batch`` on all questions; each has its share of the seconds."""
        if not todo:
            return
        with tempfile.TemporaryDirectory() as folder:
            questions, answers = Path(folder, "questions.jsonl"), Path(folder, "answers.jsonl")
            lines = [json.dumps({"id": each.id, "question": each.question}) + "\n" for each in todo]
            questions.write_text("".join(lines))
            words = ["batch", str(questions), "--output", str(answers), "-m", self.model]
            began = time.monotonic()
            _adascale([*words, "-o", "threads", str(self._threads)])
            share = (time.monotonic() - began) / len(todo)
            for line in answers.read_text().splitlines():
                answer = json.loads(line)
                self.keep(method, answer["id"], _ours(answer, share))

    def try_callo(self, method: Method, todo: Sequence[Problem], upstream: str) -> None:
        """callo, which classifies: how its server starts in front of this one."""
        words = [str(self._python.with_name("callo")), "serve", "--upstream", upstream.removesuffix("/v1")]
        words += ["--port", str(_free_port())]
        try:
            ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
            error = (ended.stderr or ended.stdout).strip()[-500:]
        except subprocess.TimeoutExpired as ended_late:
            said = (ended_late.stderr or b"").decode().strip()[-400:]
            error = f"no question with options to ask it; after 120 s it had said: {said}"
        for problem in todo:
            self.keep(method, problem.id, {"error": error})


def _ours(answer: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    return {
        "answer": answer["answer"],
        "tokens": answer["usage"]["generated_tokens"],
        "seconds": seconds,
        "search_seconds": answer["timing"]["search_s"],
        "confidence": answer["confidence"],
    }


def _adascale(words: Sequence[str]) -> str:
    command = [sys.executable, "-m", "adascale", *words]
    # An answer that it is not sure of ends with a code of its own, and is an answer.
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


def _log_of(out: Path, name: str) -> Path:
    return out.with_suffix(f".{name}.log")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _running(words: Sequence[object], url: str, log: Path) -> Iterator[None]:
    """A server, from its first answer on."""
    with log.open("a") as file:
        env = {**os.environ, "OPENAI_API_KEY": "none"}
        process = subprocess.Popen([*map(str, words)], stdout=file, stderr=file, env=env)
        try:
            for _ in range(_START_SECONDS):
                if process.poll() is not None:
                    raise SystemExit(f"{words[0]} ended with {process.returncode}: see {log}")
                try:
                    with urllib.request.urlopen(url, timeout=5):
                        break
                except OSError:
                    time.sleep(1)
            yield
        finally:
            process.terminate()
            process.wait()


@contextmanager
def _meter(upstream: str) -> Iterator[tuple[str, Callable[[], int]]]:
    """A door to a server that counts the tokens which it writes; the door's URL, and the count so far."""
    counted = 0

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass(None)

        def do_POST(self) -> None:
            self._pass(self.rfile.read(int(self.headers["Content-Length"])))

        def _pass(self, body: bytes | None) -> None:
            nonlocal counted
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(upstream + self.path.removeprefix("/v1"), body, headers)
            try:
                with urllib.request.urlopen(request) as reply:
                    status, data = reply.status, reply.read()
            except urllib.error.HTTPError as error:
                status, data = error.code, error.read()
            if status == 200 and body is not None:
                counted += json.loads(data)["usage"]["completion_tokens"]
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            with suppress(BrokenPipeError):  # a client that has waited too long
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    door = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    Thread(target=door.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{door.server_address[1]}/v1", lambda: counted
    finally:
        door.shutdown()
        door.server_close()


def run(args: argparse.Namespace) -> None:
    """Ask every method what it lacks."""
    bench = Bench(args.model, args.peers, args.threads, args.output)
    problems = listed([*read_known([args.data])], IDS)[: args.questions]
    methods = [each for each in METHODS if not args.only or any(name in each.row for name in args.only)]
    for method in methods:
        todo = [problem for problem in problems if not bench.has(method, problem.id)]
        if not todo:
            continue
        with bench.server(method.server) if method.server != "none" else nullcontext("") as url:
            if method.name == "adascale ask":
                bench.ask_adascale(method, todo)
            elif method.name == "adascale batch":
                bench.batch_adascale(method, todo)
            elif method.name == "callo":
                bench.try_callo(method, todo, url)
            else:
                bench.ask_peers(method, todo, url)
    close({"records": len(bench.records), "model": args.model})


def read(path: Path) -> list[Record]:
    """The records of a file; none where there is no file yet."""
    return read_lines(path) if path.exists() else []


def is_right(problem: Problem, record: Record) -> bool:
    """True if the answer of a record is correct, by the judge of values."""
    kind = kind_of(problem)
    answer = record.get("answer")
    if "text" in record:
        answer = kind.answer(problem, "prose", record["text"] or "", "stop", None)
    return kind.is_right(problem, answer, None, None)


def show(args: argparse.Namespace) -> None:
    """Print the table."""
    known = {problem.id: problem for problems in read_known([args.data]) for problem in problems}
    records = read(args.records)
    rows, figures = [], {}
    for method in METHODS:
        own = [each for each in records if each["method"] == method.row]
        good = [each for each in own if "error" not in each]
        if not own:
            continue
        errors = sorted({each["error"] for each in own if "error" in each})
        right = sum(is_right(known[each["id"]], each) for each in good)
        row = [str(len(own)), str(right)]
        if good:
            seconds = [each["seconds"] for each in good]
            row += [f"{fmean(each['tokens'] for each in good):.0f}"]
            row += [f"{fmean(seconds):.0f}", f"{median(seconds):.0f}"]
        else:
            row += ["-"] * 3
        rows.append([method.row, *row, str(len(own) - len(good))])
        figures[method.row] = {"row": row, "errors": errors}
    table(["method @ server", "questions", "right", "tokens", "seconds", "median", "errors"], rows)
    close(figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.add_argument("model")
    running.add_argument("data", type=Path)
    running.add_argument("--output", "-o", type=Path, required=True)
    running.add_argument("--peers", type=Path, required=True, help="environment of the peers")
    running.add_argument("--questions", type=int)
    running.add_argument("--threads", type=int, default=1)
    running.add_argument("--only", nargs="+", help="methods with one of these texts in their names")
    running.set_defaults(run=run)
    showing = commands.add_parser("table")
    showing.add_argument("data", type=Path)
    showing.add_argument("records", type=Path)
    showing.set_defaults(run=show)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
