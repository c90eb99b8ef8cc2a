"""The words and options of the command `wsclose`: what a person may ask for, and what was asked."""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
import sys
import textwrap
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import analyzer

TABLES = ("connections", "closes", "frames", "messages", "violations", "reconnects", "ledger")
COMMANDS = (*TABLES, "show", "extract", "codes")
FORMATS = ("table", "csv", "json", "jsonl")
OF_ONE = ("show", "extract")
"""Commands whose last word is the number of a connection."""

_READING = ("summary", *TABLES, *OF_ONE)
_SHAPING = ("since", "until", "points", "keylog", "websocket-port")

_WHAT = MappingProxyType(
    {
        "connections": "one row per WebSocket connection",
        "closes": "one row per Close frame",
        "frames": "one row per frame",
        "messages": "one row per message",
        "violations": "one row per broken rule of the protocol",
        "reconnects": "one row per connection that ended and the client's next one",
        "ledger": "what became of every packet and byte",
        "show": "the story of connection N, with its ending explained",
        "extract": "the packets of connection N, into a pcapng file",
        "codes": "what close codes mean",
    }
)
_WORDS = {"show": "FILE... N", "extract": "FILE... N -o part.pcapng", "codes": "[CODE]"}

_USAGE = """wsclose FILE...
       wsclose TABLE FILE... [--format FORMAT] [-o FILE] [--columns A,B] [--where CONDITION] [--limit N]
       wsclose show FILE... CONNECTION
       wsclose extract FILE... CONNECTION -o part.pcapng
       wsclose codes [CODE]"""

_DESCRIPTION = """\
Why did my WebSockets close? Reads packet captures (pcap, pcapng, compressed or not; - is standard input).

commands:
  FILE...               summary: how the connections ended, why, and which need a look
{commands}
A file that is named like a command is written ./closes. wsclose COMMAND --help tells more of one."""

_WHERE_HELP = """\
--where compares columns: wsclose connections day.pcapng --where 'server_code == 1011 and duration > "5m"'
  with == != < <= > >=, and or not, in (a, b), not in, is missing, is not missing, contains "text"
"""
_STATUS_HELP = "exit status: 0 done, 1 an input could not be read, 2 wrong usage, 130 interrupted"


class UsageError(Exception):
    """What was asked can't be done: exit status 2."""


class Request:
    """What the person asked for."""

    def __init__(self, command: str, inputs: list[str], number: int | None, options: argparse.Namespace) -> None:
        self.command = command
        self.inputs = inputs
        self.number = number
        self.options = options

    @property
    def again(self) -> str:
        """The options that decide what is read, for a command to be suggested: " --keylog keys.log", or nothing."""
        words = []
        for name in _SHAPING:
            given = getattr(self.options, name.replace("-", "_"))
            for value in given if isinstance(given, list) else [] if given is None else [given]:
                words += [f"--{name}", shlex.quote(getattr(value, "text", None) or str(value))]
        return "".join(f" {word}" for word in words)


class Time(int):
    """Nanoseconds since 1970 UTC, with the text that asked for them."""

    text = ""


def request_of(argv: list[str]) -> Request:
    """What these words ask for; UsageError where that is unclear, SystemExit for --help, --version and no words."""
    options = _parser(None).parse_intermixed_args(argv)
    words: list[str] = options.words
    command = words[0] if words and words[0] in COMMANDS else "summary"
    if options.help:
        _parser(None if command == "summary" else command).print_help()
        raise SystemExit(0)
    if not words:
        print(f"usage: {_USAGE}", file=sys.stderr)
        raise UsageError("name a capture file, or a command (--help lists them)")
    inputs = words[1:] if command in COMMANDS else words
    _check_words(command, inputs)
    _check_options(command, options)
    number = None
    if command in OF_ONE:
        number = int(inputs.pop())
    return Request(command, inputs, number, options)


def _check_words(command: str, inputs: list[str]) -> None:
    if command in OF_ONE and (len(inputs) < 2 or not _is_number(inputs[-1])):
        raise UsageError(f"{command} needs a capture file and the number of a connection: wsclose {command} FILE 0")
    if command != "codes" and not inputs:
        raise UsageError(f"{command} needs a capture file")
    files = inputs[:-1] if command in OF_ONE else inputs
    if command == "summary" and files[0].isalpha() and not os.path.exists(files[0]):
        if close := difflib.get_close_matches(files[0], COMMANDS, 1, 0.7):
            raise UsageError(f"{files[0]} is no file; did you mean the command {close[0]}?")
        if len(files) > 1:
            raise UsageError(f"{files[0]} is neither a file nor a command; --help lists the commands")
    numbers = [word for word in files[command == "summary" :] if _is_number(word) and not os.path.exists(word)]
    if numbers and command != "codes":
        raise UsageError(f"{numbers[0]} is no file; one connection is shown by: wsclose show FILE {numbers[0]}")


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 19


def _check_options(command: str, options: argparse.Namespace) -> None:
    for name, (_, commands, _) in _OPTIONS.items():
        if getattr(options, name.replace("-", "_")) not in (None, False) and command not in commands:
            raise UsageError(_misplaced(name, command, commands))


def _misplaced(name: str, command: str, commands: tuple[str, ...]) -> str:
    """That an option does not go with a command, and where it goes."""
    if command == "summary":
        return f"the summary takes no --{name}; a table does: wsclose connections FILE --{name} ..."
    others = "every command that reads a capture" if "summary" in commands else ", ".join(commands)
    return f"{command} takes no --{name}; it goes with: {others}"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            close = difflib.get_close_matches(unknown.split()[0].partition("=")[0], self._option_string_actions, 1)
            message = f"there is no option {unknown.split()[0]}" + (f"; did you mean {close[0]}?" if close else "")
        raise UsageError(message)


def _parser(command: str | None) -> argparse.ArgumentParser:
    """The parser of everything, or one that knows of one command, for its help."""
    parser = _Parser(
        prog="wsclose",
        usage=_USAGE if command is None else f"wsclose {command} {_WORDS.get(command, 'FILE...')} [options]",
        description=_description(command),
        epilog=_epilog(command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    for name, (short, commands, settings) in _OPTIONS.items():
        if command is None or command in commands:
            parser.add_argument(*short, f"--{name}", **settings)
    parser.add_argument("-h", "--help", action="store_true", help="this; after a command, what goes with it")
    if command is None:
        parser.add_argument("--version", action="version", version=f"wsclose {analyzer.__version__}")
    return parser


def _description(command: str | None) -> str:
    if command is None:
        words = {name: _WORDS.get(name, "FILE...").partition(" -o")[0] for name in _WHAT}
        lines = (f"  {name + ' ' + words[name]:<22}{what}" for name, what in _WHAT.items())
        return _DESCRIPTION.format(commands="\n".join(lines))
    return _WHAT[command][0].upper() + _WHAT[command][1:] + "."


def _epilog(command: str | None) -> str:
    if command is None:
        return f"{_WHERE_HELP}\n{_STATUS_HELP}"
    if command not in TABLES:
        return ""
    from analyzer.schema import TABLES as SCHEMA

    names = ", ".join(column.name for column in SCHEMA[command].columns_for(files=1))
    listed = textwrap.fill(names, 100, initial_indent="  ", subsequent_indent="  ")
    return f"columns (their meanings stand in docs/columns.md):\n{listed}\n\n{_WHERE_HELP}"


def _whole(text: str) -> int:
    if not _is_number(text):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no whole number that fits")
    return int(text)


def _port(text: str) -> int:
    port = _whole(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no TCP port")
    return port


def _time(text: str) -> Time:
    from analyzer.where import time_of

    try:
        time = Time(time_of(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    time.text = text
    return time


_OPTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], dict[str, Any]]] = MappingProxyType(
    {
        "output": (("-o",), (*TABLES, "extract"), {"metavar": "FILE", "help": "write to FILE; its suffix decides: "
            ".csv .json .jsonl (also .gz, .zst) .parquet .arrow, for extract .pcapng"}),
        "format": ((), TABLES, {"choices": FORMATS, "help": "default: a table on a terminal, csv in a pipe"}),
        "columns": ((), TABLES, {"metavar": "A,B", "help": "only these columns, in this order"}),
        "where": ((), TABLES, {"metavar": "CONDITION", "help": "only rows for which this is true"}),
        "limit": ((), (*TABLES, "show"), {"metavar": "N", "type": _whole, "help": "at most N rows, of show events"}),
        "since": ((), _READING, {"metavar": "TIME", "type": _time, "help": "only packets from this time on (ISO 8601; "
            "UTC unless it says)"}),
        "until": ((), _READING, {"metavar": "TIME", "type": _time, "help": "only packets up to this time"}),
        "points": ((), _READING, {"choices": ("merge", "separate"), "help": "take files as one point of capture, or "
            "each as its own"}),
        "keylog": ((), _READING, {"metavar": "FILE", "action": "append", "help": "open TLS with the secrets in FILE, "
            "a key log; repeatable"}),
        "websocket-port": ((), _READING, {"metavar": "PORT", "type": _port, "action": "append", "help": "connections "
            "to this TCP port are WebSockets even without a handshake; repeatable"}),
        "no-progress": ((), (*_READING, "codes"), {"action": "store_true", "help": "no progress bar"}),
    }
)  # fmt: skip
"""Each long option: its short form, the commands that it goes with, how argparse takes it."""
