"""Feed every reader with inputs that coverage guides, and say how many each took without a crash or a hang.

    python -m fuzz [NAME ...] [--runs 1000000] [--seconds 0] [--limit 10] [--findings fuzz-findings]

Each target runs in processes of its own, one after the other with one corpus. An input that fails is kept in the folder
of findings, and is run again by `python -m fuzz NAME --again FILE`. Exits with 1 where anything was found.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_MEMORY_MB = 3000  # of a process; one allocation may be half of it
# Inputs of a process. atheris keeps some 2.7 KB of every input where arrays are compared; without it the same inputs
# leave nothing behind.
_STRETCH = 250_000
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
_AT = re.compile(r"^#(\d+)\s", re.MULTILINE)


class Outcome(NamedTuple):
    """What became of one target."""

    name: str
    inputs: int
    seconds: float
    found: str  # empty where nothing was


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    arguments.add_argument("names", nargs="*", metavar="NAME")
    arguments.add_argument("--runs", type=int, default=1_000_000, help="inputs of each target")
    arguments.add_argument("--seconds", type=int, default=0, help="the most for each target; 0 is no limit")
    arguments.add_argument("--limit", type=int, default=10, help="seconds that one input may take")
    arguments.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    arguments.add_argument("--again", type=Path, help="run one file and nothing else")
    arguments.add_argument("--child", help=argparse.SUPPRESS)
    arguments.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.child:
        _child(options.child, options)
    if options.again:
        from fuzz.targets import TARGETS

        TARGETS[options.names[0]].target(options.again.read_bytes())
        return
    from fuzz.targets import EVERY, TARGETS

    if unknown := [name for name in options.names if name not in TARGETS]:
        arguments.error(f"there is no {', '.join(unknown)}; there are {', '.join(EVERY)}")
    options.findings.mkdir(exist_ok=True)
    print("| target | inputs | seconds | inputs/s | found |\n|---|---|---|---|---|", flush=True)
    outcomes = []
    for name in options.names or EVERY:
        outcome = run(name, options)
        outcomes.append(outcome)
        rate = outcome.inputs / max(outcome.seconds, 0.1)
        print(
            f"| {name} | {outcome.inputs:,} | {outcome.seconds:,.0f} | {rate:,.0f} | {outcome.found or 'nothing'} |",
            flush=True,
        )
    sys.exit(any(outcome.found for outcome in outcomes))


def run(name: str, options: argparse.Namespace) -> Outcome:
    """One target in processes of its own, until its inputs are used up or one of them fails."""
    inputs, began = 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="imdlens-corpus-") as corpus:
        while True:
            left = options.seconds and options.seconds - int(time.monotonic() - began)
            runs = min(_STRETCH, options.runs - inputs)
            code, told = _stretch(name, options, corpus, runs, left)
            seconds = time.monotonic() - began
            if code or not (done := _DONE.search(told)):
                reached = [int(number) for number in _AT.findall(told)]
                kinds = ("timeout", "out-of-memory", "Uncaught Python exception")
                kind = next((kind for kind in kinds if kind in told), "crash")
                return Outcome(name, inputs + max(reached, default=0), seconds, f"{kind} (see {_log(name, options)})")
            inputs += int(done[1])
            if inputs >= options.runs or (options.seconds and seconds >= options.seconds - 1):
                return Outcome(name, inputs, seconds, "")


def _stretch(name: str, options: argparse.Namespace, corpus: str, runs: int, seconds: int) -> tuple[int, str]:
    """One process: how it ended, and what it printed."""
    command = [sys.executable, "-m", "fuzz", "--child", name, "--findings", str(options.findings), "--corpus", corpus]
    command += ["--runs", str(runs), "--seconds", str(seconds), "--limit", str(options.limit)]
    with _log(name, options).open("w+b") as log:
        code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        log.seek(0)
        return code, log.read().decode("utf-8", "replace")


def _log(name: str, options: argparse.Namespace) -> Path:
    folder: Path = options.findings
    return folder / f"{name}.log"


def _child(name: str, options: argparse.Namespace) -> None:
    """Fuzz one target and end the process."""
    try:
        import atheris
    except ImportError:
        sys.exit("Fuzzing needs atheris: pip install -e '.[fuzz]'.")
    with atheris.instrument_imports(include=["app", "examples", "hl7"]):
        from fuzz.files import without_threads
        from fuzz.seeds import SEEDS, words
        from fuzz.targets import TARGETS

    without_threads()
    told = TARGETS[name]
    corpus: Path = options.corpus
    begin = SEEDS[name]() if name in SEEDS else []
    for number, seed in enumerate(begin):
        (corpus / str(number)).write_bytes(seed)
        told.target(seed)  # what it needs is made now, and not within the first input's time
    with tempfile.NamedTemporaryFile("w", prefix="imdlens-words-") as listed:
        listed.write("\n".join(f'"{_escaped(word)}"' for word in (words(name) if begin else [])))
        listed.flush()
        libfuzzer = [
            "fuzz",
            f"-runs={options.runs}",
            f"-max_total_time={options.seconds}",
            f"-timeout={options.limit}",
            f"-rss_limit_mb={_MEMORY_MB}",
            f"-max_len={told.longest}",
            f"-artifact_prefix={options.findings}/{name}-",
            "-reload=0",
            *([f"-dict={listed.name}"] if begin else []),
            str(corpus),
        ]
        atheris.Setup(libfuzzer, _kept(told.target, options.findings / f"{name}-found"), enable_python_coverage=True)
        atheris.Fuzz()


def _kept(target: Callable[[bytes], None], path: Path) -> Callable[[bytes], None]:
    """The target, and a file of the input that it fails by."""

    def once(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            path.write_bytes(data)
            raise

    return once


def _escaped(word: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
