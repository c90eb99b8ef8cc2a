"""The words and options of the command `wsclose`: what a person may ask for, and what was asked."""

from __future__ import annotations

import argparse
import sys

import analyzer

TABLES = ("connections", "closes", "frames", "messages", "violations", "reconnects", "ledger")
COMMANDS = (*TABLES, "show", "extract", "codes")
FORMATS = ("table", "csv", "json", "jsonl")

_OPTIONS_OF = {
    "format": TABLES,
    "columns": TABLES,
    "where": TABLES,
    "output": (*TABLES, "extract"),
    "limit": (*TABLES, "show"),
    "since": ("summary", *TABLES, "show", "extract"),
    "until": ("summary", *TABLES, "show", "extract"),
    "points": ("summary", *TABLES, "show", "extract"),
    "keylog": ("summary", *TABLES, "show", "extract"),
    "websocket_port": ("summary", *TABLES, "show", "extract"),
}

_USAGE = """wsclose FILE...
       wsclose TABLE FILE... [--format FORMAT] [-o FILE] [--columns A,B] [--where CONDITION] [--limit N]
       wsclose show FILE... CONNECTION
       wsclose extract FILE... CONNECTION -o part.pcapng
       wsclose codes [CODE]"""

_DESCRIPTION = """\
Why did my WebSockets close? Reads packet captures (pcap, pcapng, compressed or not; - is standard input).

commands:
  FILE...               summary: how the connections ended and which need a look
  connections FILE...   one row per WebSocket connection
  closes FILE...        one row per Close frame
  frames FILE...        one row per frame
  messages FILE...      one row per message
  violations FILE...    one row per broken rule of the protocol
  reconnects FILE...    one row per connection that ended and the client's next one
  ledger FILE...        what became of every packet and byte
  show FILE... N        the story of connection N, with its ending explained
  extract FILE... N     the packets of connection N, into a pcapng file
  codes [CODE]          what close codes mean
A file that is named like a command is written ./closes."""

_EPILOG = """\
--where compares columns: wsclose connections day.pcapng --where 'server_code == 1011 and duration > "5m"'
  with == != < <= > >=, and or not, in (a, b), not in, is missing, is not missing, contains "text"

exit status: 0 done, 1 an input could not be read, 2 wrong usage, 130 interrupted"""


class UsageError(Exception):
    """What was asked can't be done: exit status 2."""


class Request:
    """What the person asked for."""

    def __init__(self, command: str, inputs: list[str], number: int | None, options: argparse.Namespace) -> None:
        self.command = command
        self.inputs = inputs
        self.number = number
        self.options = options


def request_of(argv: list[str]) -> Request:
    """What these words ask for; UsageError where that is unclear, SystemExit for --help and unknown options."""
    parser = _parser()
    options = parser.parse_intermixed_args(argv)
    words: list[str] = options.words
    if not words:
        parser.print_usage(sys.stderr)
        raise UsageError("name a capture file, or a command (--help lists them)")
    command = words[0] if words[0] in COMMANDS else "summary"
    inputs = words[1:] if command in COMMANDS else words
    for option, commands in _OPTIONS_OF.items():
        if getattr(options, option) is not None and command not in commands:
            name = option.replace("_", "-")
            raise UsageError(f"--{name} does not go with {command}, but with: {', '.join(commands)}")
    number = None
    if command in ("show", "extract"):
        number = _number_of(command, inputs)
        inputs = inputs[:-1]
    if command != "codes" and not inputs:
        raise UsageError(f"{command} needs a capture file")
    return Request(command, inputs, number, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wsclose",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    add = parser.add_argument
    add("-o", "--output", metavar="FILE", help="write to FILE; its suffix decides: .csv .json .jsonl (also .gz, .zst) "
        ".parquet .arrow")  # fmt: skip
    add("--format", choices=FORMATS, help="default: a table on a terminal, csv in a pipe")
    add("--columns", metavar="A,B", help="only these columns, in this order")
    add("--where", metavar="CONDITION", help="only rows for which this is true")
    add("--limit", metavar="N", type=_whole, help="at most N rows")
    add("--since", metavar="TIME", type=_time, help="only packets from this time on (ISO 8601; UTC unless it says)")
    add("--until", metavar="TIME", type=_time, help="only packets up to this time")
    add("--points", choices=("merge", "separate"), help="take files as one point of capture, or each as its own")
    add("--keylog", metavar="FILE", action="append", help="open TLS with the secrets in FILE, a key log; repeatable")
    add("--websocket-port", metavar="PORT", type=_port, action="append", help="connections to this TCP "
        "port are WebSockets even without a handshake; repeatable")  # fmt: skip
    add("--no-progress", action="store_true", help="no progress bar")
    add("--version", action="version", version=f"wsclose {analyzer.__version__}")
    return parser


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no whole number that fits")
    return int(text)


def _port(text: str) -> int:
    port = _whole(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no TCP port")
    return port


def _time(text: str) -> int:
    from analyzer.where import time_of

    try:
        return time_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number_of(command: str, words: list[str]) -> int:
    if len(words) < 2 or not (words[-1].isascii() and words[-1].isdigit() and len(words[-1]) < 19):
        raise UsageError(f"{command} needs a capture file and the number of a connection: wsclose {command} FILE 0")
    return int(words[-1])
