"""Secrets from key logs (RFC 9850): the lines that TLS libraries write into SSLKEYLOGFILE."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from analyzer import limits

KEY_LOG = 0x544C534B  # a Decryption Secrets Block's secrets type: TLS Key Log (pcapng 4.7)
MASTER = "CLIENT_RANDOM"
EARLY = "CLIENT_EARLY_TRAFFIC_SECRET"
CLIENT_HANDSHAKE, SERVER_HANDSHAKE = "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET"
CLIENT_TRAFFIC, SERVER_TRAFFIC = "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"

LABELS = (MASTER, EARLY, CLIENT_HANDSHAKE, SERVER_HANDSHAKE, CLIENT_TRAFFIC, SERVER_TRAFFIC)
LINE = re.compile(rb"^[ \t]*(\w+)[ \t]+([0-9a-fA-F]{64})[ \t]+([0-9a-fA-F]{64,96})[ \t]*$", re.MULTILINE)
NAMES = {label.encode(): label for label in LABELS}

Block = tuple[int, bytes]


class Secrets:
    """The secrets at hand, by the client random of their connection and their label.

    texts: key logs; blocks: Decryption Secrets Blocks of the capture as they are met, a list that grows; rest(): those
    that stand anywhere in inputs that can be read again, asked for once, when a random is not known or was not seen;
    more_may_come(): whether an input that can be read only once may still bring some. Who waits for those is told, by
    look_again(), when they have come or nothing more comes.
    """

    def __init__(
        self,
        texts: Sequence[bytes] = (),
        blocks: Sequence[Block] = (),
        rest: Callable[[], Sequence[Block]] | None = None,
        more_may_come: Callable[[], bool] | None = None,
    ) -> None:
        self._by_random: dict[bytes, dict[str, bytes]] = {}
        self._used: set[bytes] = set()
        self._given_up: set[bytes] = set()
        self._waiting: dict[bytes, dict[Any, None]] = {}  # by client random, those that wait longest first
        self._came: list[bytes] = []
        self._blocks = blocks
        self._blocks_taken = 0
        self._rest = rest
        self._more_may_come = more_may_come
        for text in texts:
            self.add(text)

    def add(self, text: bytes) -> None:
        """Take the lines of a key log (RFC 9850 2); what is no line of a known form is passed over.

        The first secret of a random and label stays: some libraries write later ones under the same label.
        """
        if b"\r" in text:
            text = text.replace(b"\r", b"\n")
        by_random, names, unhex = self._by_random, NAMES, bytes.fromhex
        for label, random, secret in LINE.findall(text):
            name = names.get(label) or names.get(label.upper())
            if name is None or len(secret) not in (64, 96):
                continue
            key = unhex(random.decode())
            known = by_random.get(key)
            if known is None:
                by_random[key] = {name: unhex(secret.decode())}
                if key in self._waiting:
                    self._came.append(key)
            else:
                known.setdefault(name, unhex(secret.decode()))

    def of(self, random: bytes) -> dict[str, bytes] | None:
        """The secrets of the connection with this client random; None if there are none (yet)."""
        self.take_new()
        if random not in self._by_random:
            self._take_rest()
        found = self._by_random.get(random)
        if found is not None:
            self._used.add(random)
        return found

    def take_new(self) -> None:
        """Take what the capture has brought since, and tell those that waited for it."""
        if self._blocks_taken < len(self._blocks):
            new = self._blocks[self._blocks_taken :]
            self._blocks_taken += len(new)
            self._take(new)
            came, self._came = self._came, []
            self._tell(came)

    def _take_rest(self) -> None:
        if self._rest is not None:
            rest, self._rest = self._rest, None
            self._take(rest())

    def _take(self, blocks: Sequence[Block]) -> None:
        for kind, text in blocks:
            if kind == KEY_LOG:
                self.add(text)

    def more_may_come(self) -> bool:
        """Whether secrets that are not here yet may still come."""
        return self._more_may_come is not None and self._more_may_come()

    def wait(self, waiter: Any, random: bytes) -> None:
        """Have a waiter told when the secrets with this client random have come; b"": when nothing more comes."""
        self._waiting.setdefault(random, {})[waiter] = None

    def leave(self, waiter: Any, random: bytes) -> None:
        """It waits no longer."""
        group = self._waiting.get(random)
        if group is not None:
            group.pop(waiter, None)
            if not group:
                del self._waiting[random]

    def over(self) -> None:
        """Nothing more comes."""
        self._more_may_come = None
        self.take_new()
        self._tell(list(self._waiting))

    def _tell(self, randoms: Sequence[bytes]) -> None:
        for random in randoms:
            for waiter in self._waiting.pop(random, {}):
                waiter.look_again()

    def give_up(self, random: bytes) -> None:
        """The connection with this client random is let go before its secrets came."""
        if len(self._given_up) < limits.TLS_GIVEN_UP:
            self._given_up.add(random)

    def too_late(self) -> int:
        """How many connections' secrets came after they had been given up, as far as is remembered."""
        self.take_new()
        return len(self._given_up & self._by_random.keys())

    def unused(self, label: str) -> Iterator[tuple[bytes, bytes]]:
        """(random, secret) of every connection that no flow was recognised as, the latest first.

        With Encrypted Client Hello the random of the key log is the inner hello's, which no packet shows (RFC 9850
        2.1).
        """
        self.take_new()
        self._take_rest()
        for random in reversed(list(self._by_random)):
            if random not in self._used and (secret := self._by_random[random].get(label)) is not None:
                yield random, secret
