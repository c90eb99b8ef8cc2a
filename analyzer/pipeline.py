"""Puts the stages in a row: the one module that knows their order.

sources -> capture -> packets -> streams -> upgrade -> frames -> messages -> observer (tables)
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer import limits
from analyzer.capture.reading import Captures, read_secrets
from analyzer.encapsulations import unwrap
from analyzer.fragments import Fragments
from analyzer.frames import FrameReader
from analyzer.heartbeats import follow
from analyzer.ledger import ByteLedger, part, part_connection
from analyzer.messages import MessageReader
from analyzer.packets import Packets
from analyzer.problems import CannotRead, Problem
from analyzer.records import (
    END_CAPTURE,
    Connection,
    Flow,
    Frame,
    Half,
    Judge,
    Observer,
    Packet,
    PacketReader,
    Segment,
    Side,
    Source,
)
from analyzer.room import Room
from analyzer.rules.judging import Rules
from analyzer.services import Services
from analyzer.sources import Input, resolve
from analyzer.streams import Streams
from analyzer.upgrade.heads import HTTP_2, TLS
from analyzer.upgrade.http1 import Openings
from analyzer.upgrade.http2 import Http2

if TYPE_CHECKING:
    from analyzer.extract import Extractor
    from analyzer.tls.connection import Layer
    from analyzer.tls.keylog import Secrets

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Options:
    """What of the captures is read, and how.

    since, until: nanoseconds since 1970 UTC, both inclusive; points: "merge", "separate" or None to tell by the files;
    websocket_ports: servers' ports where what begins as no other protocol is WebSocket frames; keylogs: texts of key
    logs (RFC 9850) by name.
    """

    since: int | None = None
    until: int | None = None
    points: str | None = None
    progress: Progress | None = None
    keylogs: Mapping[str, bytes] = field(default_factory=dict)
    websocket_ports: frozenset[int] = frozenset()


@dataclass
class Account:
    """What became of everything that was read.

    connections: how many were recognised; packets: read from all inputs; payload_bytes: captured ones of the TCP flows
    on which connections were recognised. ledger: (unit, kind) -> count;
    flow_kinds: TCP flows with payload, by what their first bytes look like. refused: see streams.Streams.
    """

    connections: int = 0
    packets: int = 0
    payload_bytes: int = 0
    problems: list[Problem] = field(default_factory=list)
    errors: list[CannotRead] = field(default_factory=list)
    ledger: Counter[tuple[str, str]] = field(default_factory=Counter)
    flow_kinds: dict[str, int] = field(default_factory=dict)
    refused: Mapping[tuple[int, ...], Sequence[int]] = field(default_factory=dict)


class Pipeline:
    """One pass over the captures."""

    def __init__(
        self, inputs: Sequence[Input], observer: Observer, tables: frozenset[str], options: Options, payloads: bool
    ) -> None:
        self.packet, self.segment = Packet(), Segment()
        self.observer, self.tables, self.payloads = observer, tables, payloads
        self.account = Account()
        self.connections = self.no_websocket_packets = 0
        asked = tables & {"connections", "closes", "violations"}
        self.rules = Rules(self.packet, observer, "violations" in tables) if asked else None
        self.closes_left_out = False
        self.bytes = ByteLedger()
        self.services = Services(options.websocket_ports)
        self.room = Room(limits.KEPT_IN_ALL_BYTES)
        self.openings = Openings(self.packet, self._accept, self._recognised, self.room, options.websocket_ports)
        self.openings.layers[HTTP_2] = self._http2
        self.openings.layers[TLS] = self._tls
        self.secrets: Secrets | None = None
        self.inputs, self.options = inputs, options
        self.openings.judge = self.rules
        seed = int.from_bytes(os.urandom(4), "big")
        self.streams = Streams(self.packet, self.segment, self.openings, self._finished, seed, self.room)
        self.packets = Packets(self.packet, self.segment, self.streams, unwrap, Fragments())
        self.captures = captures(inputs, self.packet, self.packets, options)

    def run(self) -> Account:
        """Read everything; raises CannotRead when none of the inputs can be read."""
        self.captures.run()
        if self.secrets is not None:
            self.secrets.over()
        self.streams.finish()
        for flow in self.services.kept():
            self._judge_failed(flow)
        account = self.account
        account.connections = self.connections
        account.packets, account.payload_bytes = self.captures.counts["packets"], self.bytes.captured
        self._note_common_limits()
        account.problems, account.errors = self.captures.problems + account.problems, self.captures.errors
        account.problems += barren(self.options.keylogs)
        account.flow_kinds = dict(self.openings.kinds)
        account.refused = self.streams.refused
        if self.services.others:
            account.flow_kinds["tls"] -= self.services.others
            account.flow_kinds["failed tls"] = self.services.others
        if self.services.left_out:
            left_out, kept = self.services.left_out, limits.TLS_FAILURES
            what = f"of {left_out} failed TLS handshakes it was not kept whether they are rows: {kept} are at a time"
            account.problems.append(Problem(self.captures.inputs[0].name, what))
        if self.connections:
            account.ledger.update({("byte", kind): count for kind, count in self.bytes.counts().items()})
        counts = {
            "WebSocket": self.streams.websocket_packets - self.no_websocket_packets,
            "other TCP": self.streams.other_packets + self.no_websocket_packets,
            **self.packets.counts(),
            **{kind: self.captures.counts[kind] for kind in ("outside time range", "unreadable")},
        }
        for kind, count in counts.items():
            account.ledger["packet", kind] += count
        account.ledger["byte", "truncated record"] += self.captures.counts["truncated bytes"]
        return account

    def _recognised(self, connection: Connection) -> None:
        connection.number = self.connections
        self.connections += 1
        self.services.add(connection)

    def _accept(self, connection: Connection) -> None:
        """Both directions are WebSocket frames from here on."""
        judge = None if self.rules is None else self.rules.judge_of(connection)
        connection.pulse = follow(connection)
        self.read_frames(connection.client, judge)
        self.read_frames(connection.server, judge)

    def read_frames(self, side: Side, judge: Judge | None) -> None:
        """One direction is WebSocket frames from here on."""
        source: Source = side.source
        frame: Frame = Frame()
        side.judge = judge
        messages: MessageReader = MessageReader(
            self.packet, side, frame, self.observer, self.tables, self.payloads, self.room
        )
        source.reader = FrameReader(self.packet, source, side, frame, messages, self.room)

    def _http2(self, flow: Flow, low: Source, high: Source, exact: bool) -> Http2:
        """Both sources carry HTTP/2 from here on."""
        return Http2(self.openings, self._concluded, flow, (low, high), exact)

    def _tls(self, flow: Flow, low: Source, high: Source, exact: bool) -> Layer:
        """Both sources carry TLS from here on."""
        from analyzer.tls.connection import Layer
        from analyzer.tls.keylog import Secrets

        if self.secrets is None:
            captured, options = self.captures, self.options
            self.secrets = Secrets(
                tuple(options.keylogs.values()),
                captured.secrets,
                lambda: secrets_in(self.inputs),
                captured.secrets_may_come,
            )
        return Layer(
            self.packet, flow, low, high, self.secrets, self.openings.begin, self._recognised, self.room
        )

    def _concluded(self, connection: Connection) -> None:
        """A connection is over before its flow is."""
        flow = connection.flow
        assert flow.connections is not None
        flow.connections.remove(connection)
        packet, last = self.packet, (flow.last_time, flow.last_packet, flow.last_file)
        flow.last_time, flow.last_packet, flow.last_file = packet.time, packet.number, packet.file  # if it is read late
        self.conclude(connection)
        flow.last_time, flow.last_packet, flow.last_file = last
        self.bytes.connection(connection)
        part_connection(connection)

    def _finished(self, flow: Flow) -> None:
        """Nothing more comes of a flow. Whether it is a row may not be known before its secrets come, or, of a failed
        TLS handshake, before the end."""
        tls = flow.tls
        if tls is not None and tls.awaits is not None and tls.awaits.outlive(self._finished):
            return
        failed = None if tls is None else tls.failed
        if flow.connections is None:
            self._leave(flow)
        elif failed is None:
            self._close(flow)
        elif flow.missing_bytes():  # as is known only now: it may not have failed
            self._leave(flow)
        elif self.services.knows(failed) or not self.services.keep(flow):
            self._judge_failed(flow)

    def _judge_failed(self, flow: Flow) -> None:
        """The flow of a failed TLS handshake is that of a WebSocket if its service has one, else like any other."""
        assert flow.tls is not None and flow.tls.failed is not None and flow.connections is not None
        failed = flow.tls.failed
        flow.connections.append(failed)
        if self.services.knows(failed):
            self._recognised(failed)
            self._close(flow)
        else:
            self.services.others += 1
            self._leave(flow)

    def _leave(self, flow: Flow) -> None:
        """A flow that was kept is no WebSocket's."""
        self.no_websocket_packets += flow.packets
        part(flow)

    def _close(self, flow: Flow) -> None:
        """Hand over what is known of a flow."""
        connection: Connection
        for connection in flow.connections or ():
            self.settle(connection, flow)
        self.bytes.add(flow)
        low: object = flow.low.reader
        high: object = flow.high.reader
        part(flow)
        for layer in (low, high):
            if layer is not None and (leave := getattr(layer, "part", None)) is not None:
                leave()

    def settle(self, connection: Connection, flow: Flow) -> None:
        """Nothing more comes of a connection, as its flow is over."""
        if flow.end_how != END_CAPTURE and not connection.ended:
            if connection.end_how == END_CAPTURE:
                connection.end_how = flow.end_how
                connection.end_by = _side_of(connection, flow.end_by)
            connection.end_time = flow.end_time
        self.conclude(connection)

    def conclude(self, connection: Connection) -> None:
        """Nothing more comes of a connection, and how it ended is known."""
        client: Side = connection.client
        server: Side = connection.server
        if self.rules is not None:
            self.rules.connection(connection)
        self.observer.connection(connection)
        if max(client.closes_seen, server.closes_seen) > limits.CLOSES_KEPT and not self.closes_left_out:
            self._note_limits(connection)

    def _note_common_limits(self) -> None:
        """Say that a bound over all connections was reached."""
        room, streams = self.room, self.streams
        told = []
        if room.given_way:
            kept = f"connections together kept {room.size >> 20} MiB of what was not known yet"
            told.append(f"{kept}: what waited longest was let go, {room.given_way} times")
        if streams.forgotten:
            known = f"more than {limits.SILENT_FLOWS} TCP connections without a WebSocket at a time"
            told.append(f"{known}: {streams.forgotten} were forgotten before their end")
        if streams.refused_left_out:
            pairs = f"of {limits.REFUSED} such pairs"
            kept = f"the times of {limits.REFUSALS} are kept of one client and service, and {pairs}"
            told.append(f"{streams.refused_left_out} more refused TCP connections are no evidence: {kept}")
        late = 0 if self.secrets is None else self.secrets.too_late()
        if late:
            waited = f"on a pipe {limits.TLS_HELD >> 20} MiB of each wait for them; a file is searched as a whole"
            told.append(f"secrets of {late} TLS connections came too late, after what they open was let go: {waited}")
        self.account.problems += [Problem(self.captures.inputs[0].name, what) for what in told]

    def _note_limits(self, connection: Connection) -> None:
        """Say, once, that not every Close of a side is a row."""
        self.closes_left_out = True
        what = f"connection {connection.number}: of a side's Close frames {limits.CLOSES_KEPT} are kept"
        self.account.problems.append(Problem(self.captures.inputs[connection.flow.first_file].name, what))


def captures(inputs: Sequence[Input], packet: Packet, reader: PacketReader, options: Options) -> Captures:
    """The capture stage over these inputs."""
    return Captures(
        inputs,
        packet,
        reader,
        since=options.since,
        until=options.until,
        points=options.points,
        progress=options.progress,
    )


def barren(keylogs: Mapping[str, bytes]) -> list[Problem]:
    """The key logs that hold no secret: another file was meant."""
    if not keylogs:
        return []
    from analyzer.tls.keylog import LINE

    what = "no TLS secrets in it: not a key log, as SSLKEYLOGFILE names one"
    return [Problem(name, what) for name, text in keylogs.items() if not LINE.search(text.replace(b"\r", b"\n"))]


def secrets_in(inputs: Iterable[Input]) -> list[tuple[int, bytes]]:
    """The decryption secrets blocks of all inputs that are pcapng files and can be read again, wherever they stand."""
    found: list[tuple[int, bytes]] = []
    for each in inputs:
        if each.rereadable:
            with suppress(CannotRead):
                found.extend(read_secrets(each))
    return found


def packets_of(inputs: Iterable[str], reader_for: Callable[[Packet, Segment], Extractor]) -> None:
    """A pass that ends after the packet stage, for the packets of one connection; inputs: names as given."""
    packet, segment = Packet(), Segment()
    extractor = reader_for(packet, segment)
    packets = Packets(packet, segment, extractor, unwrap, Fragments())
    captures(resolve(inputs), packet, extractor.tap(packets), Options()).run()


def _side_of(connection: Connection, half: Half | None) -> Side | None:
    if half is None:
        return None
    return connection.client if connection.client.half is half else connection.server
