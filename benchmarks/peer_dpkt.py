"""What a script on dpkt takes merely to decode every packet of a capture, before it looks at any payload."""

import sys

import dpkt

count = 0
with open(sys.argv[1], "rb") as capture:
    for _, packet in dpkt.pcap.Reader(capture):
        if isinstance(dpkt.ethernet.Ethernet(packet).data.data, dpkt.tcp.TCP):
            count += 1
print(count)
