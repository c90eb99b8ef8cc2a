"""Times `wsclose connections` beside the peers that are installed: `python benchmarks/run.py`.

Whole commands are timed, start-up included, from this checkout: each workload's file is read once to warm the
page cache, then every command runs in turn, once unmeasured and `--runs` times measured. Peers that take far longer
than `wsclose` run on a smaller workload of the same kind, with `wsclose` beside them on that same file.

This process stays small and imports no library: a child's peak memory can't be below that of the process it was
started from.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
KINDS = ("feed", "bulk", "many", "mixed", "masked", "deflate")
WSCLOSE = [sys.executable, "-c", "import sys; from analyzer.cli import main; sys.exit(main())"]
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes elsewhere
PACKET_BYTES = 1100  # about what a packet takes in the workloads of full-size packets
FULL_SIZE = ("bulk", "mixed", "masked")
EMPTY_CAPTURE = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
OPENED = "opened.csv"


@dataclass(frozen=True)
class Tool:
    """A command to time; `{file}` and `{folder}` (an empty folder for what it writes) are filled in."""

    name: str
    command: list[str]
    slow: bool = False
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Timing:
    """What one tool took on one file: seconds and bytes of each measured run, or why it failed."""

    tool: Tool
    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    failure: str = ""

    @property
    def median(self) -> float:
        """Median wall time in seconds."""
        return statistics.median(self.seconds)


TABLE = [*WSCLOSE, "connections", "{file}", "-o", f"{{folder}}/{OPENED}", "--no-progress"]
OURS = Tool("wsclose", TABLE)
PURE = Tool("wsclose, uncompiled", TABLE, slow=True, environment={"ANALYZER_PURE": "1"})
CLOSE_FIELDS = ["-e", "frame.number", "-e", "tcp.stream", "-e", "websocket.payload.close.status_code"]
PEERS = {
    "capinfos": Tool("capinfos -c", ["capinfos", "-c", "{file}"]),
    "suricata": Tool("suricata", ["suricata", "-r", "{file}", "-l", "{folder}", "-S", os.devnull, "-k", "none"]),
    "tshark": Tool(
        "tshark",
        ["tshark", "-r", "{file}", "-Y", "websocket.opcode == 8", "-T", "fields", *CLOSE_FIELDS],
        slow=True,
    ),
    "dpkt": Tool("dpkt, decoding only", [sys.executable, str(HERE / "peer_dpkt.py"), "{file}"], slow=True),
}


def run(tool: Tool, file: Path, folder: Path) -> tuple[float, int, str]:
    """Wall seconds, peak memory in bytes, and why it failed ("" if it did not)."""
    command = [part.format(file=file, folder=folder) if "{" in part else part for part in tool.command]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), **tool.environment}
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment, cwd=folder)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines() or [""]
    failure = f"exit status {child.returncode}: {lines[-1]}" if child.returncode else ""
    return seconds, usage.ru_maxrss * MAXRSS_UNIT, failure


def measure(tools: list[Tool], file: Path, runs: int, check: Callable[[Path], str]) -> list[Timing]:
    """Run the tools in turn, after one unmeasured turn; `check` says what is wrong with the table `wsclose` wrote."""
    timings = [Timing(tool) for tool in tools]
    warm(file)
    for turn in range(runs + 1):
        for timing in timings:
            if timing.failure:
                continue
            with tempfile.TemporaryDirectory() as folder:
                seconds, memory, timing.failure = run(timing.tool, file, Path(folder))
                if timing.tool.command is TABLE and not timing.failure:
                    timing.failure = check(Path(folder) / OPENED)
            if turn:
                timing.seconds.append(seconds)
                timing.memory.append(memory)
    return timings


def warm(file: Path) -> None:
    """Read the file, so that it is in the page cache."""
    with open(file, "rb", buffering=0) as source:
        buffer = bytearray(1 << 20)
        while source.readinto(buffer):
            pass


def workload(kind: str, packets: int) -> tuple[Path, dict[str, int]]:
    """The file of a workload and what it holds; made if it is not there."""
    WORK.mkdir(exist_ok=True)
    file, truth = WORK / f"{kind}-{packets}.pcap", WORK / f"{kind}-{packets}.json"
    if not truth.exists():
        command = [sys.executable, str(HERE / "workloads.py"), kind, str(packets), str(file)]
        truth.write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return file, json.loads(truth.read_text())


def row_check(connections: int) -> Callable[[Path], str]:
    """A check that the table has a row for every connection."""

    def check(table: Path) -> str:
        with open(table, newline="", encoding="utf-8") as source:
            rows = sum(1 for _ in csv.reader(source)) - 1
        return "" if rows == connections else f"{rows} rows instead of {connections}"

    return check


def affordable(kind: str, packets: int) -> int:
    """`packets`, or as many as half of this machine's memory holds, so that the page cache keeps the file."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(packets, memory // 2 // PACKET_BYTES) if kind in FULL_SIZE else packets


def print_timings(timings: list[Timing], packets: int) -> None:
    """A row for each tool, with the ratios to `wsclose`, the first."""
    print("| tool | seconds | fastest, slowest | packets/s | ns a packet | peak MB | wsclose / it | it / wsclose |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for timing in timings:
        if timing.failure or not timing.seconds:
            print(f"| {timing.tool.name} | failed: {timing.failure} | | | | | | |")
            continue
        seconds = timing.median
        ours = 0.0 if timings[0].failure else timings[0].median
        ratios = f"{ours / seconds:.2f} | {seconds / ours:.2f}" if ours else "|"
        print(
            f"| {timing.tool.name} | {seconds:.3f} | {min(timing.seconds):.3f}, {max(timing.seconds):.3f} "
            f"| {packets / seconds:,.0f} | {seconds / packets * 1e9:,.0f} "
            f"| {statistics.median(timing.memory) / 1e6:,.0f} | {ratios} |"
        )
    print(flush=True)


def print_start_up(runs: int) -> None:
    """What the command takes before it reads a packet."""
    empty = WORK / "empty.pcap"
    WORK.mkdir(exist_ok=True)
    empty.write_bytes(EMPTY_CAPTURE)
    tools = [
        Tool("python -c pass", [sys.executable, "-c", "pass"]),
        Tool("wsclose --version", [*WSCLOSE, "--version"]),
        Tool("wsclose connections, empty capture", TABLE),
    ]
    print("## Start-up\n\n| command | seconds | peak memory, MB |\n|---|---:|---:|")
    for timing in measure(tools, empty, runs, row_check(0)):
        if timing.failure:
            print(f"| {timing.tool.name} | failed: {timing.failure} | |")
        else:
            print(f"| {timing.tool.name} | {timing.median:.3f} | {statistics.median(timing.memory) / 1e6:,.0f} |")
    print(flush=True)


def print_kind(kind: str, packets: int, tools: list[Tool], runs: int) -> None:
    """Measure and print one workload of one size."""
    packets = affordable(kind, packets)
    file, truth = workload(kind, packets)
    print(f"## {kind}: {packets:,} packets, {file.stat().st_size / 1e6:,.0f} MB, {truth['connections']:,} WebSockets\n")
    print_timings(measure(tools, file, runs, row_check(truth["connections"])), packets)


def print_machine() -> None:
    """What the numbers were taken with: versions, and whether the hot modules are compiled."""
    where = "import analyzer.records as module; print(module.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    found = subprocess.run([sys.executable, "-c", where], capture_output=True, text=True, env=environment, check=False)
    hot = "not importable" if found.returncode else "source" if found.stdout.strip().endswith(".py") else "compiled"
    print(f"Python {sys.version.split()[0]}, hot modules: {hot}, {os.cpu_count()} cores", end="")
    for peer in ("capinfos", "tshark", "suricata"):
        if shutil.which(peer):
            option = "-V" if peer == "suricata" else "--version"
            answer = subprocess.run([peer, option], capture_output=True, text=True, check=False).stdout
            print(f"; {answer.splitlines()[0].strip() if answer else peer}", end="")
    print("\n")


def installed(tool: Tool) -> bool:
    """Whether the tool's program, or for a script the library it shows, is there."""
    if tool.command[0] == sys.executable:
        return not subprocess.run([sys.executable, "-c", "import dpkt"], capture_output=True, check=False).returncode
    return shutil.which(tool.command[0]) is not None


def main() -> None:
    """Make the workloads, run everything, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packets", type=int, default=8_000_000, help="for wsclose, capinfos and suricata")
    parser.add_argument("--slow-packets", type=int, default=2_000_000, help="for tshark, dpkt and uncompiled wsclose")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--peers", default=",".join([*PEERS, "pure"]), help="pure is wsclose with ANALYZER_PURE=1")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--slow-runs", type=int, default=3)
    arguments = parser.parse_args()
    kinds, names = arguments.kinds.split(","), [name for name in arguments.peers.split(",") if name]
    if unknown := [*({*kinds} - {*KINDS}), *({*names} - {*PEERS, "pure"})]:
        parser.error(f"unknown: {', '.join(unknown)}")
    tools = [PEERS[name] for name in names if name != "pure" and installed(PEERS[name])]
    tools += [PURE] if "pure" in names else []
    slow = [tool for tool in tools if tool.slow]
    print_machine()
    print_start_up(arguments.runs)
    for kind in kinds:
        print_kind(kind, arguments.packets, [OURS, *(tool for tool in tools if not tool.slow)], arguments.runs)
        if slow:
            print_kind(kind, arguments.slow_packets, [OURS, *slow], arguments.slow_runs)


if __name__ == "__main__":
    main()
