"""What can be wrong with an input: it cannot be read, or a part of it is damaged; and with what is asked."""

import re
from dataclasses import dataclass


class CannotRead(Exception):
    """An input cannot be read, or not from a place on. One line: which, why, at which byte.

    where: offset in the input's own (compressed) bytes or in the capture, None where no byte is to blame.
    """

    def __init__(self, name: str, reason: str, where: int | None = None) -> None:
        super().__init__(name, reason, where)
        self.name = name
        self.reason = reason
        self.where = where

    def __str__(self) -> str:
        place = "" if self.where is None else f" (byte {self.where})"
        return f"{self.name}: {self.reason}{place}"


@dataclass(frozen=True)
class Problem:
    """Damage in a file that was read as far as it goes: what was found at byte `where` of the capture."""

    file: str
    what: str
    where: int | None = None

    def __str__(self) -> str:
        place = "" if self.where is None else f" (byte {self.where})"
        return f"{self.file}: {self.what}{place}"


class NotKept(Exception):
    """What is asked for was not kept, and the input can't be read again; names the argument to pass to analyze()."""


class WhereError(ValueError):
    """A condition can't be read, or doesn't fit the table. Shows it with a caret at the place."""

    def __init__(self, message: str, source: str, place: int, option: str = "--where") -> None:
        line = re.sub(r"\s", " ", source)
        line = "".join(character if character.isprintable() else "?" for character in line)
        super().__init__(f"{option}: {message}\n  {line}\n  {' ' * place}^")
