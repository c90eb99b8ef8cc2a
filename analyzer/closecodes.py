"""Close codes (RFC 6455 7.4): what each number means, who may send it, what it asks of a client.

The facts are data, analyzer/catalogs/registry.toml, read when the first of them is asked for.
"""

from __future__ import annotations

import functools
import operator
from typing import ClassVar, NamedTuple, SupportsIndex

RANGES = ("unused", "protocol", "registered", "private", "outside")
"""Names of the ranges of RFC 6455 7.4.2, ascending: 0-999, 1000-2999, 3000-3999, 4000-4999, 5000-65535."""

SENDERS = ("either", "client", "server", "gateway", "nobody")
"""Who sends a code by its description."""

ADVICE = {
    "unsaid": "nothing is asked of the client",
    "no": "do not reconnect: the same client would be closed again, or was told to go",
    "yes": "reconnect",
    "at once": "reconnect without delay",
    "back off": "reconnect after a delay that grows with each failure",
    "random delay": "wait a random time before the first try, longer after each failure (RFC 6455 7.2.3)",
    "random 5-30 s": "reconnect after a random delay of 5 to 30 seconds",
    "other server": "connect to another address of the service; to the same one only when a person asks for it",
}
"""What a code can ask of a client about reconnecting; catalogs use the same words for `retry`."""


class _Facts(NamedTuple):
    name: str
    meaning: str
    reference: str
    on_wire: bool
    sent_by: str
    advice: str
    note: str = ""


class _Range(NamedTuple):
    first: int
    last: int
    name: str
    facts: _Facts


class CloseCode(int):
    """A close code: an int from 0 to 65535 that knows its meaning.

    Equal to, hashed and printed as its number. ValueError outside 0-65535, TypeError for what is no integer.
    The attributes below are the codes with a name of their own; every other number is Other, described by its
    range, or by its registration (3000, say) if it has one.
    """

    __slots__ = ()

    Empty: ClassVar[CloseCode]
    Normal: ClassVar[CloseCode]
    Away: ClassVar[CloseCode]
    Protocol: ClassVar[CloseCode]
    Unsupported: ClassVar[CloseCode]
    Status: ClassVar[CloseCode]
    Abnormal: ClassVar[CloseCode]
    Invalid: ClassVar[CloseCode]
    Policy: ClassVar[CloseCode]
    Size: ClassVar[CloseCode]
    Extension: ClassVar[CloseCode]
    Error: ClassVar[CloseCode]
    Restart: ClassVar[CloseCode]
    Again: ClassVar[CloseCode]
    BadGateway: ClassVar[CloseCode]
    Tls: ClassVar[CloseCode]

    def __new__(cls, code: SupportsIndex) -> CloseCode:
        number = operator.index(code)
        if not 0 <= number <= 65535:
            raise ValueError(f"a close code is a number from 0 to 65535, not {number}")
        return super().__new__(cls, number)

    def __repr__(self) -> str:
        return f"<CloseCode {int(self)}: {self.name}, {self.range}>"

    __str__ = int.__repr__  # the number, also in f-strings and logs

    @property
    def name(self) -> str:
        """The registered text, "Normal Closure" for 1000; "Other" for a number that has none."""
        return self._facts.name

    @property
    def meaning(self) -> str:
        """What the code says, in a sentence; for a number without registration what its range is for."""
        return self._facts.meaning

    @property
    def reference(self) -> str:
        """Where it is defined."""
        return self._facts.reference

    @property
    def on_wire(self) -> bool:
        """May a Close frame carry this number? False for Empty: such a frame carries none."""
        return self._facts.on_wire

    @property
    def sent_by(self) -> str:
        """Who sends it by its description: one of SENDERS."""
        return self._facts.sent_by

    @property
    def advice(self) -> str:
        """What it asks of a client about reconnecting: a key of ADVICE, whose values explain it."""
        return self._facts.advice

    @property
    def note(self) -> str:
        """Where implementations disagree about it, "" if nowhere known."""
        return self._facts.note

    @property
    def range(self) -> str:
        """The range of RFC 6455 7.4.2 that it lies in: one of RANGES."""
        return self._range.name

    def legal_from(self, sender: str) -> bool:
        """May `sender` ("client" or "server") put this code into a Close frame?

        The RFC bars a side from one code only, the server from 1010 (7.4.1): `sent_by` of the others tells what
        is usual, not what is allowed.
        """
        return self.on_wire and (self.sent_by != "client" or sender == "client")

    @property
    def _range(self) -> _Range:
        ranges, _ = _registry()
        return next(candidate for candidate in ranges if self <= candidate.last)

    @property
    def _facts(self) -> _Facts:
        _, codes = _registry()
        return codes.get(int(self)) or self._range.facts


CloseCode.Empty = CloseCode(0)
CloseCode.Normal = CloseCode(1000)
CloseCode.Away = CloseCode(1001)
CloseCode.Protocol = CloseCode(1002)
CloseCode.Unsupported = CloseCode(1003)
CloseCode.Status = CloseCode(1005)
CloseCode.Abnormal = CloseCode(1006)
CloseCode.Invalid = CloseCode(1007)
CloseCode.Policy = CloseCode(1008)
CloseCode.Size = CloseCode(1009)
CloseCode.Extension = CloseCode(1010)
CloseCode.Error = CloseCode(1011)
CloseCode.Restart = CloseCode(1012)
CloseCode.Again = CloseCode(1013)
CloseCode.BadGateway = CloseCode(1014)
CloseCode.Tls = CloseCode(1015)


def registry() -> list[CloseCode]:
    """The registered close codes, ascending; Empty, which is no code, is not among them."""
    _, codes = _registry()
    return [CloseCode(number) for number in sorted(codes) if number != CloseCode.Empty]


@functools.cache
def _registry() -> tuple[list[_Range], dict[int, _Facts]]:
    from analyzer.catalogs import read  # here, because most runs do not need it at the start

    data = read("registry.toml")
    ranges = [
        _Range(row.pop("first"), row.pop("last"), row.pop("range"), _Facts(name="Other", **row))
        for row in data["ranges"]
    ]
    codes = {row.pop("code"): _Facts(**row) for row in data["codes"]}
    return ranges, codes
