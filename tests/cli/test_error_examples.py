"""Errors word for word, each provoked for real: what happened, the facts, a fix to paste."""

from __future__ import annotations

import json
import math
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
import tiny
from commands import run_process
from home import Home
from hub import publish
from inprocess import run_here
from loopback import Server

from adascale.engine.decimals import human_bytes
from adascale.models.machine import free_memory_bytes

Ask = Callable[..., tuple[str, int]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, chain_gguf: Path) -> Home:
    return Home.asking(tmp_path_factory.mktemp("home"), chain_gguf, 2)


@pytest.fixture
def said(home: Home, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Stderr of a command without its progress, and its exit code."""
    monkeypatch.chdir(home.folder)
    return lambda *args, more={}: _told(run_here({**home.sealed, **more}, *args))


@pytest.fixture
def said_apart(home: Home, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The same of a process of its own, whose worker may be ended."""
    monkeypatch.chdir(home.folder)
    return lambda *args: _told(run_process(home.sealed, *args))


def _told(done: subprocess.CompletedProcess[str]) -> tuple[str, int]:
    lines = [line for line in done.stderr.splitlines() if not line.startswith("adascale: ")]
    return "\n".join(lines), done.returncode


def test_1_a_missing_model(said: Ask) -> None:
    assert said("ask", "hi", "-g", "qwen2.5-codr-1.5b") == (
        'error[model-not-found]: no model called "qwen2.5-codr-1.5b" on this machine or in the catalogue\n'
        "  looked in: Hugging Face cache, catalogue\n"
        "hint: did you mean qwen2.5-coder-1.5b?  adascale list shows what is here",
        4,
    )


@pytest.mark.parametrize("how", ["network", "option", "variable"])
def test_2_no_network(said: Ask, how: str) -> None:
    off = {"HF_HUB_OFFLINE": "1"} if how == "variable" else {}
    text, code = said(
        "ask", "hi", "-g", "Qwen/Some-GGUF:Q4_K_M", *(["--offline"] if how == "option" else []), more=off
    )
    first, hint = (
        (
            "error[no-network]: cannot reach 127.0.0.1 (Connection refused)",
            "check the connection, the proxy, HF_ENDPOINT and PIP_INDEX_URL; then run the command again",
        )
        if how == "network"
        else (
            "error[offline]: offline mode is on",
            "leave out --offline, unset HF_HUB_OFFLINE, then run the same command again",
        )
    )
    fact = "  Qwen/Some-GGUF:Q4_K_M is not in the cache, so it has to be downloaded once"
    assert (text, code) == (f"{first}\n{fact}\nhint: {hint}", 4)


@pytest.mark.parametrize(
    ("status", "fact", "then"),
    [
        (401, "you are not logged in to Hugging Face", ", then run: hf auth login"),
        (403, "your account has no access yet", ""),
    ],
)
def test_3_a_gated_repository(said: Ask, hub: Server, status: int, fact: str, then: str) -> None:
    repo = "meta-llama/Llama-3.2-1B-Instruct-GGUF"
    hub.add(f"/api/models/{repo}", b"", status=status, X_Error_Code="GatedRepo")
    assert said("ask", "hi", "-g", f"{repo}:Q4_K_M", more={"HF_ENDPOINT": hub.url}) == (
        f"error[gated-repo]: {repo} needs permission from its owner\n"
        f"  {fact}\n"
        f"hint: ask for access at {hub.url}/{repo}{then}",
        4,
    )


def test_3_a_private_or_missing_repository(said: Ask, hub: Server) -> None:
    hub.add("/api/models/no/one", b"", status=401, X_Error_Code="RepoNotFound")
    assert said("ask", "hi", "-g", "no/one:Q4_K_M", more={"HF_ENDPOINT": hub.url}) == (
        "error[model-not-found]: 127.0.0.1 has no model no/one\n"
        "  not found, or private\n"
        "hint: check the spelling; if it is private: hf auth login",
        4,
    )


BROKEN = {
    "is empty": b"",
    'is a web page, not a model (starts with "<!DOCTYPE")': b"<!DOCTYPE html><html></html>" * 10,
    "is a Git LFS pointer, not the model itself (git lfs pull fetches it)": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\n"
    ),
    "is GGUF version 99; this llama.cpp reads up to 3": b"GGUF" + (99).to_bytes(4, "little") + bytes(64),
}


@pytest.mark.parametrize("what", BROKEN)
def test_4_a_file_that_is_no_gguf(said: Ask, tmp_path: Path, what: str) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(BROKEN[what])
    assert said("ask", "hi", "-g", str(path)) == (
        f"error[bad-gguf]: mine.gguf {what}\n"
        "hint: fetch the file again, or take a known model: adascale list",
        4,
    )


def test_4_a_torn_gguf(said: Ask, tmp_path: Path, chain_gguf: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(chain_gguf.read_bytes()[:-100_000])
    here, whole = (human_bytes(file.stat().st_size) for file in (path, chain_gguf))
    assert said("ask", "hi", "-g", str(path)) == (
        "error[bad-gguf]: mine.gguf is incomplete\n"
        f"  tensor output.weight lies beyond the end of the file ({here} of {whole} are here)\n"
        "hint: fetch the file again, or take a known model: adascale list",
        4,
    )


HOSTILE = {
    "block_count": (b"llama.block_count", struct.pack("<I", 0), r"GGML_ASSERT\(hparams\.n_layer.*\) failed"),
    "epsilon": (
        b"llama.attention.layer_norm_rms_epsilon",
        struct.pack("<f", math.nan),
        r"GGML_ASSERT\(eps >= 0\.0f\) failed",
    ),
}
"""Key, the bytes in the place of its value, and what llama.cpp does not take."""


@pytest.mark.parametrize(("what", "command"), [("block_count", "ask"), ("epsilon", "batch")])
def test_4_a_gguf_that_llama_cpp_aborts_on(
    said_apart: Ask, home: Home, tmp_path: Path, chain_gguf: Path, what: str, command: str
) -> None:
    key, value, assertion = HOSTILE[what]
    path, data = tmp_path / "mine.gguf", bytearray(chain_gguf.read_bytes())
    at = data.index(key) + len(key) + 4  # behind the type
    data[at : at + len(value)] = value
    path.write_bytes(data)
    text, code = said_apart(command, "hi" if command == "ask" else str(home.data), "-g", str(path))
    first, fact, hint = text.splitlines()
    assert code == 4
    assert first == "error[bad-gguf]: mine.gguf makes llama.cpp abort while it is opened"
    assert re.fullmatch(rf"  [\w.-]+:\d+: {assertion}", fact)
    assert hint == "hint: fetch the file again, or take a known model: adascale list"


def test_4_a_chat_template_without_end(said: Ask, tmp_path: Path) -> None:
    loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    path = tiny.write_chain(tmp_path / "mine.gguf", template=loops + tiny.CHATML)
    assert said("ask", "hi", "-g", str(path)) == (
        "error[bad-template]: the chat template of mine.gguf takes more than 2 s of processor time\n"
        "hint: take the model from another repository, or a known one: adascale list",
        4,
    )


def write_wide(path: Path, bytes_a_token: int) -> Path:
    """Only a header: of a model whose context takes so many bytes a token."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(32768)
    writer.add_block_count(1)
    writer.add_embedding_length(64)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_key_length(bytes_a_token // 4)
    writer.add_value_length(bytes_a_token // 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def test_5_too_little_memory(said: Ask, tmp_path: Path) -> None:
    path = write_wide(tmp_path / "wide.gguf", int(1.5 * free_memory_bytes() / 2048))
    text, code = said("ask", "hi", "-g", str(path), "--samples", "1", "--strategy", "vote")
    assert code == 5
    assert re.fullmatch(
        r"error\[no-memory\]: the model needs [\d.]+ GB, [\d.]+ GB are free"
        r"( \(container limit [\d.]+ GB\))?\n"
        r"  generator 0\.0 GB \+ context 2,048: [\d.]+ GB \+ buffers 0\.2 GB\n"
        r"hint: --ctx-size 1024 needs [\d.]+ GB; --force tries anyway",
        text,
    )


def test_5_two_models_that_are_too_much_together(said: Ask, tmp_path: Path, chain_gguf: Path) -> None:
    judge = write_wide(tmp_path / "wide.gguf", int(1.5 * free_memory_bytes() / 2048))
    text, code = said("ask", "hi", "-g", str(chain_gguf), "--prm", f"judge={judge}", "--samples", "1")
    assert code == 5
    assert re.fullmatch(
        r"error\[no-memory\]: the two models need [\d.]+ GB, [\d.]+ GB are free"
        r"( \(container limit [\d.]+ GB\))?\n"
        r"  generator 0\.0 GB \+ PRM 0\.0 GB \+ context 2,048 and 4,096 of the PRM: [\d.]+ GB"
        r" \+ buffers 0\.4 GB\n"
        r"hint: --ctx-size [\d,]+ needs [\d.]+ GB; --force tries anyway",
        text,
    ), text


def test_6_a_question_longer_than_the_window(said: Ask, chain_gguf: Path) -> None:
    # The chain reads letter by letter.
    prose = ["--as", "value", "--mode", "prose"]
    text, code = said("ask", "1" * 300, *prose, "-g", str(chain_gguf), "--ctx-size", "512")
    tokens = re.search(r"has (\d+) tokens", text)
    assert tokens is not None
    assert (text, code) == (
        f"error[context-overflow]: the question has {tokens[1]} tokens, the context has room for 512\n"
        "  nothing was cut off; at least 256 tokens must stay free for the answer\n"
        "  the model allows 2,048 tokens; 768 take about 5 MB more memory\n"
        "hint: --ctx-size 768",
        5,
    ), text


def test_6_a_question_longer_than_any_window(said: Ask, chain_gguf: Path) -> None:
    text, code = said("ask", "x" * 3000, "-g", str(chain_gguf))
    assert code == 5
    assert text.splitlines()[-2:] == [
        "  the model allows 2,048 tokens",
        "hint: a shorter question, or another model",
    ]


def test_7_a_bad_line(said: Ask, home: Home, chain_gguf: Path) -> None:
    lines = [json.dumps({"id": f"q{n}", "question": f"What is {n} + 2?"}) for n in (15, 16)]
    lines.append('{"id": "q17", "question": "What is 2+2?" "answer": "4"}')
    (home.folder / "questions.jsonl").write_text("\n".join(lines))
    batch = ["batch", "questions.jsonl", "-g", str(chain_gguf), "-o", "out.jsonl"]
    assert said(*batch) == (
        'warning[bad-line]: questions.jsonl line 3: not valid JSON: expected "," at column 42\n'
        '  {"id": "q17", "question": "What is 2+2?" "answer": "4"}\n'
        "                                           ^\n"
        "error[batch-partial]: 2 of 3 are done, 1 failed\n"
        "  bad-line: line 3\n"
        "hint: mend them and run the same command: only these are asked again",
        6,
    )
    (home.folder / "questions.jsonl").write_text("\n".join([*lines[:2], lines[2].replace('" "', '", "')]))
    text, code = said(*batch, "--samples", "3")
    assert (text, code) == (
        "error[other-run]: the output was made by another run\n"
        "  samples: 16 there, 3 now\n"
        "hint: another --output, or --overwrite to start again",
        2,
    )


def test_8_ctrl_c(home: Home) -> None:
    ask = ["ask", "Hm?", "--strategy", "vote", "--samples", "1024", "--budget", "50k", "--progress", "plain"]
    with subprocess.Popen(
        [sys.executable, "-m", "adascale", *ask, "-g", str(home.model), "--calibration", "none"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=home.env,
        text=True,
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if " leads" in line)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    told = [line for line in err.splitlines() if not line.startswith("adascale: ")]
    assert told[0] == "Stopping... (Ctrl-C again to quit now)"
    assert re.fullmatch(
        r"(18|20) · (1 solution|.* solutions? agree) · stopped by you · [\d.]+ s",
        told[1],
    ), told
    assert out.endswith(("Answer: 18\n", "Answer: 20\n"))
    assert process.returncode == 130


def test_9_a_wrong_quant(said: Ask, hub: Server) -> None:
    repo = "Qwen/Qwen2.5-1.5B-Instruct-GGUF"
    sizes = {"Q2_K": 676_000_000, "Q4_K_M": 1_120_000_000, "Q8_0": 1_890_000_000}
    publish(hub, repo, {f"qwen2.5-1.5b-instruct-{name}.gguf": n for name, n in sizes.items()})
    assert said("ask", "hi", "-g", f"{repo}:Q4_K_X", more={"HF_ENDPOINT": hub.url}) == (
        f'error[no-such-quant]: {repo} has no quant "Q4_K_X"\n'
        "  it has: Q2_K 676 MB, Q4_K_M 1.1 GB, Q8_0 1.9 GB\n"
        f"hint: adascale pull {repo}:Q4_K_M",
        4,
    )


def test_10_a_model_that_is_no_prm(said: Ask, chain_gguf: Path, tmp_path: Path) -> None:
    plain = tiny.write_chain(tmp_path / "plain.gguf")
    assert said("ask", "hi", "-g", str(chain_gguf), "--prm", f"math-shepherd={plain}") == (
        'error[not-a-prm]: plain.gguf is no math-shepherd PRM: its vocabulary has no token "\u043a\u0438"\n'
        "hint: --prm judge=NAME asks an ordinary model instead, --prm none searches without a PRM",
        2,
    )


def test_10_a_prm_format_that_is_none(said: Ask, chain_gguf: Path) -> None:
    assert said("ask", "hi", "-g", str(chain_gguf), "--prm", "math-sheperd=x.gguf") == (
        'error[unknown-prm-format]: there is no PRM format "math-sheperd"\n'
        "  formats: judge, math-shepherd, rlhflow-deepseek, rlhflow-mistral, qwen-math-prm, skywork-prm\n"
        "hint: --prm math-shepherd=x.gguf",
        2,
    )


def test_11_no_gpu_build(said: Ask, chain_gguf: Path) -> None:
    import llama_cpp

    if llama_cpp.llama_supports_gpu_offload():
        pytest.skip("this build has GPU support")
    options = ("--gpu-layers", "99", "--samples", "1", "--calibration", "none", "-q")
    text, code = said("ask", "hi", "-g", str(chain_gguf), *options)
    assert (text, code) == (
        "warning[no-gpu-build]: --gpu-layers 99 has no effect: "
        "this llama.cpp was built without GPU support; running on CPU\n"
        "hint: adascale doctor shows how to install a GPU build",
        0,
    )


def test_12_a_full_disk(said: Ask, hub: Server, home: Home) -> None:
    publish(hub, "Qwen/Huge-GGUF", {"huge-Q4_K_M.gguf": 10**15})
    text, code = said("ask", "hi", "-g", "Qwen/Huge-GGUF:Q4_K_M", more={"HF_ENDPOINT": hub.url})
    free = re.search(r"needs 1000000\.0 GB, ([\d.]+ .B) are free", text)
    assert free is not None
    assert (text, code) == (
        "error[no-disk]: the download needs 1000000.0 GB, "
        f"{free[1]} are free in {home.folder / 'hf' / 'hub'}\n"
        "  nothing was downloaded\n"
        "hint: adascale list shows what is there; another disk: HF_HOME=/data/hf",
        5,
    )


def test_13_a_model_that_does_not_think(said: Ask, chain_gguf: Path) -> None:
    assert said("ask", "hi", "-g", str(chain_gguf), "--think", "on") == (
        "error[no-thinking]: chain.gguf is no model that thinks: neither its chat template nor its "
        "vocabulary has <think>\nhint: --think 0",
        2,
    )


def test_13_a_thought_larger_than_the_window(said: Ask, thinker: str) -> None:
    assert said("ask", "hi", "-g", thinker, "--think", "4k", "--ctx-size", "2048") == (
        "error[think-budget]: a thought of 4,000 tokens leaves no room for an answer in a window of 2,048\n"
        "hint: --ctx-size 4608",
        2,
    )


@pytest.mark.parametrize(
    ("think", "code", "said_of_it"),
    [
        ("off", "no-think-switch", "the chat template of thinker.gguf has no switch for thinking: "
         "the prompt ends behind an empty thought"),
        ("40", "thought-cut", "a thought reached its budget: it was closed there, and the answer asked for\n"
         "hint: a larger --think lets it go on"),
    ],
)  # fmt: skip
def test_13_a_model_that_thinks_for_ever(
    said: Ask, thinker: str, think: str, code: str, said_of_it: str
) -> None:
    options = ("--think", think, "--strategy", "greedy", "--calibration", "none", "-q")
    found = said("ask", "hi", "-g", thinker, *options)
    assert found == (f"warning[{code}]: {said_of_it}", 0)


def test_14_a_model_without_a_chat_template(said: Ask, tmp_path: Path) -> None:
    bare = tiny.write_chain(tmp_path / "bare.gguf", template=None)
    found, _ = said("ask", "What is 9 * 2?", "-g", str(bare), "--strategy", "greedy", "-q")
    assert found == (
        "warning[no-template]: bare.gguf has no chat template: it reads prompts as plain paragraphs\n"
        "hint: take the model from another repository, or a known one: adascale list"
    )


@pytest.fixture
def thinker(tmp_path: Path) -> str:
    """A model whose template opens a thought that never ends."""
    template = f"{tiny.CHATML}<think>\n{{# </think> #}}"
    return str(tiny.write_chain(tmp_path / "thinker.gguf", tiny.THINKER_FOR_EVER, 8192, template))
