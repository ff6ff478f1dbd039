"""Faults that a machine can be given and freed of again: a clock, a full disk, a cut network, a frozen database.

Each is only of what is being tested: the clock of one process, a disk and a network made for it. Two need root.
"""

import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from tests.databases import Postgres

# Addresses that no other process of ours has at the same time.
_OURS: Final = f"{100 + os.getpid() % 100}.{os.getpid() // 100 % 100 * 2}"
_TO_CLIENTS, _TO_DATABASE = f"10.{_OURS}", f"10.{100 + os.getpid() % 100}.{os.getpid() // 100 % 100 * 2 + 1}"
ONE, OTHER = f"127.{_OURS}.1", f"127.{_OURS}.2"
"""Two addresses of this machine for a database that moves."""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def is_root() -> bool:
    """Whether disks and networks can be made."""
    return os.geteuid() == 0


def has_networks() -> bool:
    """Whether a network of its own can be made and cut here."""
    return is_root() and all(map(shutil.which, ("ip", "iptables")))


class Clock:
    """The clock of one service: `environment` when it starts, `set` while it runs. The machine's stays as it is."""

    def __init__(self, folder: Path) -> None:
        self._file, self._library = folder / "clock", folder / "clock.so"
        self.set(0)
        _run("cc", "-shared", "-fPIC", "-O1", "-o", str(self._library), str(Path(__file__).with_name("clock.c")))

    @staticmethod
    def can_be_made() -> bool:
        """Whether there is a compiler for it."""
        return sys.platform == "linux" and shutil.which("cc") is not None

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process read this clock."""
        return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """So many seconds ahead of the machine's clock, or behind. In place: the file is mapped by who reads it."""
        with self._file.open("r+b" if self._file.exists() else "w+b") as file:
            file.write(struct.pack("<q", seconds))


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own at a folder. For root alone."""
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "none", str(folder))
    try:
        yield folder
    finally:
        _run("umount", "-l", str(folder))


def fill(folder: Path) -> None:
    """Take every byte that is left on a disk."""
    with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 65_536) == 65_536:
            pass


def free(folder: Path) -> None:
    """Give them back."""
    (folder / "filler").unlink()


class Network:
    """A service's own network: one wire to its clients, one to its database, which can be cut.

    What is cut drops every packet, so that connections hang and are not refused.
    """

    def __init__(self) -> None:
        self.name = f"imdlens-{os.getpid()}"
        self.database = f"{_TO_DATABASE}.1"
        self.service = f"{_TO_CLIENTS}.2"
        self.before = ["ip", "netns", "exec", self.name]
        self._wires = {_TO_CLIENTS: f"imdc{os.getpid()}", _TO_DATABASE: f"imdd{os.getpid()}"}

    def __enter__(self) -> "Network":
        _run("ip", "netns", "add", self.name)
        _run(*self.before, "ip", "link", "set", "lo", "up")
        for network, wire in self._wires.items():
            _run("ip", "link", "add", wire, "type", "veth", "peer", "name", f"{wire}b", "netns", self.name)
            _run("ip", "address", "add", f"{network}.1/24", "dev", wire)
            _run("ip", "link", "set", wire, "up")
            _run(*self.before, "ip", "address", "add", f"{network}.2/24", "dev", f"{wire}b")
            _run(*self.before, "ip", "link", "set", f"{wire}b", "up")
        return self

    def cut(self) -> None:
        """Let no packet through to or from the database."""
        for chain, side in (("INPUT", "-i"), ("OUTPUT", "-o")):
            _run(*self.before, "iptables", "-A", chain, side, f"{self._wires[_TO_DATABASE]}b", "-j", "DROP")

    def mend(self) -> None:
        """Let them through again."""
        _run(*self.before, "iptables", "-F")

    def __exit__(self, *_: object) -> None:
        _run("ip", "netns", "delete", self.name)  # and both wires with it
        for wire in self._wires.values():
            subprocess.run(["ip", "link", "delete", wire], check=False, capture_output=True)


@contextmanager
def frozen(postgres: Postgres) -> Iterator[list[psutil.Process]]:
    """A database that keeps its connections and answers nothing, as of a stopped machine or a stuck disk."""
    processes = postgres.processes()
    _signal(processes, signal.SIGSTOP)
    try:
        yield processes
    finally:
        _signal(processes, signal.SIGCONT)


def _signal(processes: list[psutil.Process], which: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(which)
