"""What the lengths of encrypted records tell of a WebSocket that nobody can decrypt. Everything here is inferred.

A frame alone in a record shows its size: the record's length less what protection adds. A client's frame is four bytes
longer than a server's with the same payload, for its masking key (RFC 6455 5.3), so Ping and Pong, and the two Closes,
are neighbours that differ by exactly four. HTTP has no such pairs, and its clients say nothing shorter than a request.
What is kept are counters and the last few records, however many there are.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import NamedTuple

from analyzer import limits
from analyzer.records import NO_TIME
from analyzer.tls.suites import MAC_SIZES, Suite

CHANGE_CIPHER_SPEC, ALERT, APPLICATION_DATA = 20, 21, 23
TLS_1_2, TLS_1_3 = 0x0303, 0x0304
REQUEST_LEAST = 140  # the shortest upgrade request
ANSWER_LEAST, ANSWER_MOST = 110, 2048  # its shortest answer, and one with as many headers as servers send
TICKET_LEAST = 40  # a NewSessionTicket (RFC 8446 4.6.1), which looks like application data
SHORTEST_REQUEST, SHORTEST_RESPONSE = 26, 17  # GET / HTTP/1.1, Host: x; HTTP/1.1 200; and an empty line
CONTINUE = 25  # HTTP/1.1 100 Continue, and an empty line
SMALL = 3  # what is so many times smaller than a client's first request is no other request of it, as good as
BRIEF = 48  # and what is shorter than that certainly not
MASK = 4  # what a client's frame has more than a server's
HEADER = 2  # of a server's frame with up to 125 bytes of payload, the most that a control frame has
CONTROL_MOST = HEADER + 125
ALERT_SIZE, KEY_UPDATE_SIZE = 2, 5  # in TLS 1.3 these look like application data
HANDSHAKE_MOST = 64 << 10  # bytes of a server's handshake, its certificates included
BEFORE_FINISHED = 6  # records that a client with a certificate sends before its Finished
SOON = 500_000_000  # nanoseconds in which TLS is ended after the second Close (RFC 6455 7.1.1: at once)
PAIRS, TINY = 2, 3  # how many make it certain enough; brief pairs count twice
NONE_KEPT = array("q")
BEATS, UNEVEN, SHORTEST_PERIOD = 3, 10, 100_000_000  # a rhythm: pairs, off by one part in so many, nanoseconds


class Content(NamedTuple):
    """What one record carries.

    body: it may be the body of a request that the client said before. paired: with the record before; repeated: as
    another of that size had been.
    """

    by_client: bool
    size: int
    time: int
    body: bool = False
    paired: bool = False
    repeated: bool = False

    @property
    def packed(self) -> tuple[int, int]:
        """It as two numbers: of many connections some are kept each."""
        return self.time, self.size << 4 | self.by_client | self.body << 1 | self.paired << 2 | self.repeated << 3


def unpacked(time: int, rest: int) -> Content:
    """See Content.packed."""
    return Content(rest & 1 > 0, rest >> 4, time, rest & 2 > 0, rest & 4 > 0, rest & 8 > 0)


class Closing(NamedTuple):
    """A closing handshake (RFC 6455 7.1.2): whose Close came first, and the bytes of its reason."""

    by_client: bool
    reason_length: int
    client_size: int


@dataclass(slots=True)
class Rhythm:
    """Pairs of one size, begun by one side (kind): the first and last, the shortest and longest time between two."""

    kind: int
    first: int
    last: int
    count: int = 1
    shortest: int = 1 << 62
    longest: int = 0

    def beat(self, time: int) -> None:
        """Another pair."""
        between = time - self.last
        self.shortest, self.longest = min(self.shortest, between), max(self.longest, between)
        self.last = time
        self.count += 1

    @property
    def period(self) -> int | None:
        """Nanoseconds between two, if they come evenly."""
        uneven = self.longest - self.shortest > self.longest / UNEVEN
        if self.count < BEATS or self.shortest < SHORTEST_PERIOD or uneven:
            return None
        return (self.last - self.first) // (self.count - 1)


def overhead_of(version: int, suite: Suite) -> int | None:
    """Bytes that protection adds to what a record carries; None where it hides the size (CBC) or is not known."""
    if version == TLS_1_3:
        return 1 + suite.tag_size
    if version != TLS_1_2 or suite.mode == "CBC":
        return None
    return suite.tag_size + (0 if suite.mode == "POLY1305" else 8)


def answers_body(client: Content, server: Content) -> bool:
    """May these be the body of a request, and the response?"""
    return client.body and server.size >= SHORTEST_RESPONSE


class Shape:
    """The records of both directions of one connection, in the order in which they came.

    hopeless: it is no WebSocket, or nothing can be told. shaken: the handshake is over. request: size of the client's
    first content, 0 before it; answered: an answer that may be a 101 came; said: size of the client's last content
    since. tiny: contents shorter than any request, said by the client after the server; pairs: of neighbours that
    differ by a mask, small ones; kept: the last contents, packed; unasked: bytes of the server since the client's last
    word; alert: time of the first alert under TLS 1.2; lost: records were missed, or the client ended the handshake
    with an alert: no more are looked at.
    """

    __slots__ = (
        *("alert", "answered", "before_finished", "ciphers_changed", "finished", "hopeless", "is_tls13", "kept"),
        *("lost", "overhead", "pair_sizes", "pairs", "request", "rhythms", "said", "shaken", "tiny", "unasked"),
    )

    def __init__(self, version: int, suite: Suite, overhead: int) -> None:
        self.is_tls13 = version == TLS_1_3
        self.overhead = overhead
        self.finished = overhead + 4 + MAC_SIZES[suite.hash]
        self.ciphers_changed = 0
        self.shaken = self.hopeless = self.answered = self.lost = False
        self.request = self.said = self.tiny = self.pairs = self.before_finished = self.unasked = self.pair_sizes = 0
        self.alert = NO_TIME
        self.kept = NONE_KEPT
        self.rhythms: tuple[Rhythm, ...] = ()

    def record(self, by_client: bool, kind: int, length: int, time: int) -> None:
        """The next record. length: as its header says; time: of the packet with its header."""
        if self.lost or self.hopeless:
            return
        if kind == ALERT and self.alert == NO_TIME:
            self.alert = time
        if kind == CHANGE_CIPHER_SPEC and not self.is_tls13:
            self.change_cipher(by_client)
        if kind != APPLICATION_DATA:
            return
        if not by_client:
            self.unasked += length
        size = length - self.overhead
        if size < 0:
            self.hopeless = True
        elif self.is_tls13 and not self.shaken:
            self._shake(by_client, length)
        elif not self.answered:
            self._open(by_client, size)
        else:
            self._frame(Content(by_client, size, time))

    def change_cipher(self, by_client: bool) -> None:
        """A side changed to the agreed keys; before TLS 1.3 both do before the handshake is over (RFC 5246 7.3)."""
        self.ciphers_changed |= 1 << by_client
        self.shaken = self.ciphers_changed == 3

    def _shake(self, by_client: bool, length: int) -> None:
        """TLS 1.3: what looks like application data is the handshake, up to the client's Finished."""
        if not by_client:
            self.hopeless = self.unasked > HANDSHAKE_MOST
        elif length == self.finished:
            self.shaken = True
            self.unasked = 0
        elif length == self.overhead + ALERT_SIZE:
            self.lost = True
        else:
            self.before_finished += 1
            self.hopeless = self.before_finished > BEFORE_FINISHED

    def _open(self, by_client: bool, size: int) -> None:
        """One request, and what may be a 101. Before it TLS 1.3 sends tickets."""
        if by_client:
            self.hopeless = self.request > 0 or size < REQUEST_LEAST
            self.request = size
        elif not self.request or (self.is_tls13 and TICKET_LEAST <= size < ANSWER_LEAST):
            self.hopeless = not self.is_tls13 or self.unasked > HANDSHAKE_MOST
        else:
            self.hopeless = not ANSWER_LEAST <= size <= ANSWER_MOST
            self.answered = True

    def _frame(self, content: Content) -> None:
        """What may be a frame."""
        last = unpacked(*self.kept[-2:]) if self.kept else None
        after_request = self.said * SMALL > self.request
        if content.by_client:
            content = content._replace(body=last is not None and (last.by_client or last.size == CONTINUE))
            self.said = content.size
            self.unasked = 0
            if any(each.by_client and each.size < HEADER + MASK and not self._is_update(each) for each in self.last()):
                self.hopeless = True  # no frame, and not the alert that ends it
                return
        elif self.unasked > limits.TLS_UNASKED and not self.tiny and not self.pairs:
            self.hopeless = True
            return
        if last is not None and last.by_client != content.by_client:
            if content.by_client and HEADER + MASK <= content.size < SHORTEST_REQUEST and not after_request:
                self.tiny += 1
            client, server = (content, last) if content.by_client else (last, content)
            if client.size == server.size + MASK and server.size >= HEADER and not answers_body(client, server):
                content = content._replace(repeated=True) if last.paired else self._pair(last, content, server.size)
        self.kept = self.kept[2 - 2 * limits.TLS_CONTENTS :] + array("q", content.packed)

    def last(self) -> list[Content]:
        """The last few contents."""
        return [unpacked(*self.kept[at : at + 2]) for at in range(0, len(self.kept), 2)]

    def _is_update(self, content: Content) -> bool:
        return self.is_tls13 and content.size == KEY_UPDATE_SIZE

    def _pair(self, first: Content, second: Content, size: int) -> Content:
        """Two neighbours that differ by a mask; size: of the server's."""
        if (size + MASK) * SMALL <= self.request:
            self.pairs += 2 if size + MASK < BRIEF else 1
        repeated = False
        if size <= CONTROL_MOST:
            kind = 2 * size + first.by_client
            repeated = self.pair_sizes & 1 << kind > 0
            self.pair_sizes |= 1 << kind
            self._beat(kind, first.time)
        return second._replace(paired=True, repeated=repeated)

    def _beat(self, kind: int, time: int) -> None:
        """A pair that may be Ping and Pong. A new kind takes the place of the rarest where there are too many."""
        if time == NO_TIME:
            return
        for rhythm in self.rhythms:
            if rhythm.kind == kind:
                rhythm.beat(time)
                return
        kept = self.rhythms
        if len(kept) >= limits.TLS_RHYTHMS:
            rarest = min(kept, key=lambda each: each.count)
            kept = tuple(each for each in kept if each is not rarest)
        self.rhythms = (*kept, Rhythm(kind, time, time))

    def closing(self) -> Closing | None:
        """The closing handshake, if the last two contents look like one and an alert followed at once: close_notify.

        An echo before the transport was dropped looks the same but for that. The answer may carry the code alone.
        """
        contents, alerts = self.last(), set()
        times = [] if self.alert == NO_TIME else [self.alert]
        while self.is_tls13 and contents and contents[-1].size == ALERT_SIZE and contents[-1].by_client not in alerts:
            alert = contents.pop()
            alerts.add(alert.by_client)
            times.append(alert.time)
        if len(contents) < 2 or not times or self.lost:
            return None
        first, second = contents[-2:]
        if first.by_client == second.by_client or second.repeated or min(times) - second.time > SOON:
            return None
        if first.by_client and answers_body(first, second):
            return None
        sizes = {each.by_client: each.size - HEADER - (MASK if each.by_client else 0) for each in (first, second)}
        body, answer = sizes[first.by_client], sizes[second.by_client]
        if not 0 <= body <= CONTROL_MOST - HEADER or body == 1 or (answer != body and (answer != 2 or body < 2)):
            return None
        return Closing(first.by_client, max(0, body - 2), sizes[True] + HEADER + MASK)

    def is_websocket(self, closing: Closing | None) -> bool:
        """Do the records bear out that this is a WebSocket? closing: its closing handshake, if there seems to be."""
        if self.hopeless or not self.answered:
            return False
        if closing is not None and closing.client_size * SMALL <= self.request:
            return True
        return self.pairs >= PAIRS or self.tiny >= TINY

    def ping_period(self) -> int | None:
        """Nanoseconds between Pings, if small pairs come in a rhythm."""
        found = [rhythm for rhythm in self.rhythms if rhythm.period is not None]
        return max(found, key=lambda rhythm: rhythm.count).period if found else None
