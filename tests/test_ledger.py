"""Every packet and every payload byte is accounted for once: on every sample, recounted by another reader (dpkt)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import dpkt
from invariants import byte_sum, holds
from mutations import ETHERNET, read

import analyzer


def _flow(one: tuple[str, int], other: tuple[str, int]) -> frozenset[tuple[str, int]]:
    return frozenset((one, other))


def _payload_bytes(sample: Any, flows: set[frozenset[tuple[str, int]]]) -> int | None:
    """TCP payload bytes of those flows; None where dpkt is not shown what it needs (other links than Ethernet)."""
    found = 0
    for path in sample.paths:
        packets, link_type = read(path)
        if link_type != ETHERNET:
            return None
        for packet in packets:
            ip = dpkt.ethernet.Ethernet(packet.data).data
            if not isinstance(ip, (dpkt.ip.IP, dpkt.ip6.IP6)) or not isinstance(ip.data, dpkt.tcp.TCP):
                continue
            tcp = ip.data
            source, destination = (str(ip_address(address)) for address in (ip.src, ip.dst))
            if _flow((source, tcp.sport), (destination, tcp.dport)) in flows and not tcp.flags & dpkt.tcp.TH_RST:
                found += len(tcp.data)
    return found


def test_the_invariants_hold_on_every_sample(sample: Any) -> None:
    holds(analyzer.analyze(*sample.paths, tables=("connections", "closes", "frames", "messages")))


def test_the_byte_kinds_sum_to_what_another_reader_counts(sample: Any) -> None:
    result = analyzer.analyze(*sample.paths)
    rows = result.connections
    ends = zip(rows["client_ip"], rows["client_port"], rows["server_ip"], rows["server_port"], strict=True)
    flows = {_flow((client, client_port), (server, port)) for client, client_port, server, port in ends}
    recounted = _payload_bytes(sample, flows)
    ledger = result.ledger
    counts = dict(zip(zip(ledger["unit"], ledger["kind"], strict=True), ledger["count"], strict=True))
    assert recounted is None or byte_sum(counts) == recounted
