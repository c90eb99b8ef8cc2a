"""A TLS connection: what both directions agree on, and the secrets that open it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from analyzer import limits
from analyzer.records import END_CAPTURE, END_RST, Connection, Flow, Packet, Source, Tls
from analyzer.room import Room
from analyzer.tls import keylog
from analyzer.tls.ciphers import Opened, Opener, Tls13, openers
from analyzer.tls.directions import APPLICATION_DATA, EARLY, RUNNING, SHAKING, Direction
from analyzer.tls.hellos import EARLY_DATA, ENCRYPT_THEN_MAC, VERSIONS, Hello, protocol_of
from analyzer.tls.keylog import Secrets
from analyzer.tls.shape import Shape, overhead_of
from analyzer.tls.suites import TLS_1_3 as TLS_1_3_SUITES
from analyzer.tls.suites import Suite, suite_of, suites_for
from analyzer.tls.waiting import GUESSING, HELLOS, KEYS_AWAITED, READY
from analyzer.tls.watch import Watched, account, decide

TLS_1_3 = 0x0304
WINDOWS = ((0, 1 << 8), (1 << 8, 1 << 12), (1 << 12, 1 << 16))  # sequence numbers tried, of all secrets in turn
Begin = Callable[[Flow, Source, Source, int, int], bool]
HTTP_1, HTTP_2 = b"http/1.1", b"h2"  # RFC 7301 6


class Shown(Tls):
    """What TLS shows, and the secrets that opened it: (client random, secrets by label)."""

    __slots__ = ("secrets",)

    def __init__(self) -> None:
        super().__init__()
        self.secrets: tuple[tuple[bytes, dict[str, bytes]], ...] = ()

    def alert(self, by_client: bool, description: int, packet: Packet) -> None:
        """An alert, shown by the packet in hand."""
        if len(self.alerts) < limits.TLS_ALERTS:
            self.alerts.append((by_client, description, packet.time, packet.number))


class Layer:
    """TLS over a flow's two sources of ordered bytes (TCP's halves, or what a tunnel gives).

    begin(flow, low, high, start, stop): looks at the first plain bytes, see Openings.begin; begun: it was called.
    recognised(connection): gives a row its number. parted: others read on.
    state: the hellos are to come; they have, but keys may still come (KEYS_AWAITED); secrets are tried (GUESSING);
    the keys are set. blind: a hello may be missing; resigned: what is not known by now is not waited for any longer.
    early_accepted: None until the server says (RFC 8446 4.2.10). facts: what is observed of it, kept on the flow.
    """

    def __init__(
        self,
        packet: Packet,
        flow: Flow,
        low: Source,
        high: Source,
        secrets: Secrets,
        begin: Begin,
        recognised: Callable[[Connection], object],
        room: Room,
    ) -> None:
        self.packet = packet
        self.flow = flow
        self.secrets = secrets
        self.room = room
        self.proxied: str | None = None
        self.begun = self.blind = self.resigned = self.is_tls13 = self.parted = False
        self.state = HELLOS
        self.client: Direction | None = None
        self.suite: Suite | None = None
        self.facts = flow.tls = Shown()
        self._begin = begin
        self._recognised = recognised
        self._offers: list[bytes] = []
        self._ends = 0
        self._client_random: bytes | None = None
        self._server_hello: Hello | None = None
        self._agreed: Hello | None = None
        self._early = False
        self._early_accepted: bool | None = None
        self._held = self._held_pieces = 0
        self._awaited = b""
        self._finished: Callable[[Flow], object] | None = None
        self._tries = limits.TLS_TRIES
        self.low, self.high = Direction(self, packet, low, flow.low), Direction(self, packet, high, flow.high)
        self.low.peer, self.high.peer = self.high, self.low

    def account(self, kind: str, size: int) -> None:
        """Put captured bytes into a cell of the ledger."""
        if size:
            account(self.flow, kind, size)

    def begin(self, start: int, stop: int) -> None:
        """Have the first plain bytes looked at."""
        self.begun = True
        self.facts.decrypted = True
        self.facts.failed = None  # what seemed to be the end had overtaken its hellos
        if self._begin(self.flow, self.low.source, self.high.source, start, stop):
            if self.proxied is not None and self.flow.opening is not None:
                self.flow.opening.proxied = self.proxied

    def let_go(self) -> None:
        """Nothing of this flow is wanted any more: its bytes pass unread."""
        self.low.let_go()
        self.high.let_go()
        self._tell_cost()

    # handshake

    def client_hello(self, direction: Direction, hello: Hello) -> None:
        """A direction said ClientHello: the first one, after a HelloRetryRequest, or to negotiate anew."""
        if self.client is not None and self.client is not direction:
            return
        self.client = direction
        direction.said_hello = True
        self._client_random = hello.random
        self._early = EARLY_DATA in hello.extensions
        self._offers = hello.protocols
        self.facts.sni = hello.server_name or self.facts.sni
        self._negotiate()

    def server_hello(self, direction: Direction, hello: Hello) -> None:
        """A direction said ServerHello, or HelloRetryRequest."""
        if self.client is direction:
            return
        self.client = direction.peer
        if hello.retry:
            self.is_tls13 = True
            return
        direction.said_hello = True
        self._server_hello = hello
        self.facts.alpn = hello.protocol or self.facts.alpn
        self.facts.version = VERSIONS.get(hello.version)
        self._negotiate()

    def _negotiate(self) -> None:
        """Once both hellos are there: the keys, if they are known."""
        if self._client_random is None or self._server_hello is None or self.client is None or self.parted:
            return
        hello, self._server_hello = self._server_hello, None
        self._stop_awaiting()
        self._agreed = hello
        self.is_tls13 = hello.version == TLS_1_3
        self.suite = suite_of(hello.suite) if self.is_tls13 == (hello.suite in TLS_1_3_SUITES) else None
        if self.suite is None or hello.version not in VERSIONS or not self._set_keys(hello, self.suite):
            self._without_keys()
        self._resume()

    def _set_keys(self, hello: Hello, suite: Suite) -> bool:
        """Whether the secrets of this connection are known; then its directions open with them."""
        client, random = self.client, self._client_random
        assert client is not None and random is not None
        found = self.secrets.of(random)
        if found is None:
            return False
        if self.is_tls13:
            self._set_traffic_keys(client, found, suite)
        elif keylog.MASTER in found:
            outside = ENCRYPT_THEN_MAC in hello.extensions
            client.next_opener, client.peer.next_opener = openers(
                hello.version, suite, found[keylog.MASTER], hello.random + random, outside
            )
        else:
            return False
        for direction in (client, client.peer):
            if direction.opaque and not self.is_tls13:  # its ChangeCipherSpec stands before the hello in the capture
                direction.change_cipher()
        self.state = READY
        self.facts.secrets += ((random, found),)
        return True

    def _set_traffic_keys(self, client: Direction, found: dict[str, bytes], suite: Suite) -> None:
        """The keys of TLS 1.3, in the order in which they come into use (RFC 8446 7.1)."""
        early = ((EARLY, keylog.EARLY),) if self._early else ()
        of_client = (*early, (SHAKING, keylog.CLIENT_HANDSHAKE), (RUNNING, keylog.CLIENT_TRAFFIC))
        of_server = ((SHAKING, keylog.SERVER_HANDSHAKE), (RUNNING, keylog.SERVER_TRAFFIC))
        client.queue, client.peer.queue = _queue(suite, found, of_client), _queue(suite, found, of_server)
        if keylog.SERVER_HANDSHAKE not in found:
            self._early_accepted = True  # nobody says
        for direction in (client, client.peer):
            if direction.queue:
                direction.phase, direction.opener = direction.queue.pop(0)

    def _without_keys(self) -> None:
        """No secrets (yet): they may come, or be logged under another random; else nothing can be read."""
        if self.low.opener is not None or self.high.opener is not None:  # negotiating anew: what was opened stays
            return
        if self.suite is None:
            self.let_go()
        elif self._more_may_come():
            assert self._client_random is not None
            self._await(self._client_random)
        else:
            self._guess()

    def _guess(self) -> None:
        """Try the secrets that nobody used; those of TLS 1.2 tell nothing without both randoms."""
        self.state = GUESSING
        if not self.is_tls13 or next(self.secrets.unused(keylog.SERVER_TRAFFIC), None) is None:
            self._watch()

    def encrypted_extensions(self, extensions: dict[int, bytes]) -> None:
        """What the server says under encryption (RFC 8446 4.3.1)."""
        self.facts.alpn = protocol_of(extensions) or self.facts.alpn
        if self._early_accepted is None:
            self._early_accepted = EARLY_DATA in extensions
            client = self.client
            if not self._early_accepted and client is not None and client.phase == EARLY and client.queue:
                client.phase, client.opener = client.queue.pop(0)
            self._resume()

    def alert(self, direction: Direction, description: int) -> None:
        """An alert (RFC 8446 6): an observation, and the first event of the end of what the flow carries."""
        packet = self.packet
        self.facts.alert(direction is self.client, description, packet)
        for connection in self.flow.connections or ():
            connection.begin_ending(packet.time)

    # waiting

    def waits(self, direction: Direction, kind: int) -> bool:
        """Must a record of this kind wait for the other direction's hello, for keys, or for the server's word?"""
        protected = direction.is_protected(kind)
        if self.state == HELLOS and protected and (not direction.said_hello or direction.peer.ended >= 0):
            self.missed()
        if self.state == READY:
            return direction.phase == EARLY and self._early_accepted is None and not self.blind
        if self.state == KEYS_AWAITED:
            return protected or direction.searching
        return self.state == HELLOS and protected and not self.blind

    def puts_off(self, direction: Direction) -> bool:
        """A record did not open, of a connection whose hellos are missing: may the secrets that open it still come?"""
        known = self._agreed is not None or self.state == READY or self.begun
        if known or not self._more_may_come():
            return False
        self._await(b"")
        return True

    def _more_may_come(self) -> bool:
        return not self.resigned and self.secrets.more_may_come()

    def _await(self, random: bytes) -> None:
        """Wait for the secrets with this client random, or for the end of all."""
        self.state, self._awaited = KEYS_AWAITED, random
        self.secrets.wait(self, random)

    def _stop_awaiting(self) -> None:
        """They have come, or are waited for no longer: what is held is read next, also that of a flow that is over."""
        if self.state != KEYS_AWAITED:
            return
        self.state = HELLOS
        self.secrets.leave(self, self._awaited)
        if self.facts.awaits is self:
            self.facts.awaits = None
            self.flow.connections = self.flow.connections or None
        for each in (self.low, self.high):
            if each.ended >= 0 and each.held is not None:
                each.carrier.reader = each

    def missed(self) -> None:
        """Bytes of a direction are missing: a hello may be among them."""
        if not self.blind:
            self.blind = True
            self._resume()

    def hold(self, size: int) -> int:
        """Something is held that costs `size` bytes: the order of it among all that is."""
        self._held += size
        self._held_pieces += 1
        return self._held_pieces

    def check_held(self) -> None:
        """Nothing waits any longer where too much does."""
        if self._held > limits.TLS_HELD:
            self._give_way()
        else:
            self._tell_cost()

    def _tell_cost(self) -> None:
        """Have what is held count for the room of all."""
        waits = not self.parted and (self.low.held is not None or self.high.held is not None)
        cost = self._held + (0 if self._finished is None else limits.TLS_OUTLIVING)
        self.room.weigh(self, cost if waits else 0, Layer._give_way)

    def look_again(self) -> None:
        """The secrets that were awaited have come, or never will (Secrets.wait)."""
        self._stop_awaiting()
        if self._agreed is not None and self.suite is not None and self._set_keys(self._agreed, self.suite):
            self._resume()
            self._conclude()
        else:
            self._resign()

    def last_call(self) -> None:
        """A direction that waits has ended. When the flow is over, only secrets are still waited for."""
        self.secrets.take_new()
        if self.parted or not (
            all(each.ended >= 0 for each in (self.low, self.high))
            or {self.low.ended, self.high.ended} & {END_CAPTURE, END_RST}
        ):
            return
        if self.state != KEYS_AWAITED or not self._more_may_come():
            self._resign()
        elif self.facts.awaits is None:
            self.facts.awaits = self
            self.flow.connections = self.flow.connections or []

    def outlive(self, finished: Callable[[Flow], object]) -> bool:
        """Nothing more comes of the flow. True: secrets are still waited for, and finished(flow) comes after that."""
        self.secrets.take_new()
        if self.facts.awaits is None:
            return False
        self._finished = finished
        self._tell_cost()
        return True

    def _conclude(self) -> None:
        finished, self._finished = self._finished, None
        if finished is not None:
            finished(self.flow)

    def _give_way(self) -> None:
        """Too much is held."""
        if self.state == KEYS_AWAITED and self._awaited:
            self.secrets.give_up(self._awaited)
        self._resign()

    def _resign(self) -> None:
        """Nothing is waited for any longer: what is held is read as far as that goes."""
        self.blind = self.resigned = True
        self._stop_awaiting()
        if self.state == HELLOS and self._agreed is not None and self.suite is not None:
            self._guess()
        self._resume()
        self._conclude()

    def _resume(self) -> None:
        """Read what need not wait any longer, both directions in the order in which it came."""
        if self.parted:
            return
        ready = [each for each in (self.low, self.high) if each.held is not None]
        ready = [each for each in ready if not self.waits(each, APPLICATION_DATA)]
        self._read_held(ready)
        self._tell_cost()

    def _read_held(self, ready: Iterable[Direction]) -> None:
        """Read what these directions hold, in the order in which it came."""
        pieces = [(piece, each) for each in ready for piece in each.release()]
        for piece, direction in sorted(pieces, key=lambda entry: entry[0].order):
            direction.read_held(piece)
        if self.parted or (self.low.held is None and self.high.held is None):
            self._held = 0

    # without keys

    def _watch(self) -> None:
        """There are no keys. If this may be a WebSocket over HTTP/1.1, look at the lengths of its records."""
        overhead = None
        if self._agreed is not None and self.suite is not None and self._may_be_http1():
            overhead = overhead_of(self._agreed.version, self.suite)
        if overhead is None or self._early or any(each.searching or each.to_pass for each in (self.low, self.high)):
            self.let_go()
            return
        assert self._agreed is not None and self.suite is not None and self.client is not None
        shape = Shape(self._agreed.version, self.suite, overhead)
        watched = Watched(self.packet, self.flow, shape, self.client.carrier, self._recognised)
        for direction in (self.low, self.high):
            direction.watch = watched.watch(direction.carrier)
            if direction.opaque:
                shape.change_cipher(direction is self.client)
        self._watch_what_waited()
        self._part()

    def _part(self) -> None:
        """Nothing more is read here: leave no ring of records, which would wait for the garbage collector."""
        self.parted = True
        self._tell_cost()
        self.low.peer = self.high.peer = self.low = self.high = self.client = None  # type: ignore[assignment]

    def _may_be_http1(self) -> bool:
        """What was said of protocols; TLS 1.3 hides the server's choice, so no client may have offered HTTP/2."""
        chosen = self.facts.alpn
        if chosen is not None:
            return chosen == HTTP_1.decode()
        return not self._offers or (HTTP_1 in self._offers and HTTP_2 not in self._offers)

    def _watch_what_waited(self) -> None:
        """What waited for the keys, in the order in which it came."""
        for direction in (self.low, self.high):
            direction.leave(bytes(direction.pending))
            direction.pending.clear()
        ended = [each for each in (self.low, self.high) if each.finished]
        self._read_held((self.low, self.high))
        for each in ended:
            each.watch.end(each.ended)

    def over(self, how: int) -> None:
        """A direction has ended, and nobody watches it."""
        self._ends += 1
        if self.begun or self.client is None or self._client_random is None:
            return
        if self._ends == 2 or how in (END_CAPTURE, END_RST):
            sources = self.client.carrier, self.client.peer.carrier
            decide(self.packet, self.flow, sources, None, self._agreed is None, self._recognised)

    # trial decryption

    def allow(self, count: int) -> int:
        """How many of `count` more trial decryptions may be made."""
        allowed = min(count, self._tries)
        self._tries -= allowed
        return allowed

    def failed(self, direction: Direction) -> None:
        """A record did not open; where none ever did and nothing is left to try, none will."""
        none_opened = all(each.opener is None and not each.queue for each in (direction, direction.peer))
        if none_opened and self.state != HELLOS and not self.begun and direction.next_opener is None:
            self._watch()

    def find_secret(self, direction: Direction, header: bytes, body: bytes) -> Opened | None:
        """Try the unused secrets of TLS 1.3 on a record, whatever random they were logged under."""
        if header[0] != APPLICATION_DATA or self.state == READY or (self._agreed is not None and not self.is_tls13):
            return None
        self.state = GUESSING
        shaking = keylog.CLIENT_HANDSHAKE, keylog.SERVER_HANDSHAKE
        running = keylog.CLIENT_TRAFFIC, keylog.SERVER_TRAFFIC
        labels: tuple[str, ...] = (*running, *shaking) if self._agreed is None else (*shaking, *running)
        if self.client is not None:
            labels = labels[0::2] if direction is self.client else labels[1::2]
        for first, stop in WINDOWS if self._agreed is None else ((0, direction.slack + 1),):
            for label in [each for each in labels if first == 0 or each in running]:  # handshakes are short
                for random, secret in self.secrets.unused(label):
                    if not self._tries:
                        return None
                    for suite in [self.suite] if self.suite is not None else suites_for(secret):
                        opener = Tls13(suite, secret)
                        for sequence in range(first, first + self.allow(stop - first)):
                            if opened := opener.open(header, body, sequence):
                                self._adopt(direction, random, label, suite)
                                direction.use(opener, sequence + 1)
                                return opened
        return None

    def _adopt(self, direction: Direction, random: bytes, label: str, suite: Suite) -> None:
        """The secret with this random and label opens a direction: then all with this random are this connection's."""
        found = self.secrets.of(random) or {}
        self.client = direction if label.startswith("CLIENT") else direction.peer
        self.is_tls13, self.suite, self.state = True, suite, READY
        self.facts.version = VERSIONS[TLS_1_3]
        self.facts.secrets += ((random, found),)
        self._early = False
        self._set_traffic_keys(self.client, found, suite)
        running = label in (keylog.CLIENT_TRAFFIC, keylog.SERVER_TRAFFIC)
        if running:
            for each in (direction, direction.peer):
                if each.queue:
                    each.phase, each.opener = each.queue.pop()
                each.queue = []
        if self._agreed is None:
            direction.slack = direction.peer.slack = WINDOWS[-1 if running else 0][1]


def _queue(suite: Suite, found: dict[str, bytes], labels: tuple[tuple[int, str], ...]) -> list[tuple[int, Opener]]:
    return [(phase, Tls13(suite, found[label])) for phase, label in labels if label in found]
