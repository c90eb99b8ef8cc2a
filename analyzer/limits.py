"""Every bound on what is kept, with its reason. Reaching one is visible in the result; counting never stops at one."""

HEADER_BLOCK = 64 << 10
"""Bytes of one HTTP/1.1 header block; servers refuse far smaller ones (nginx 32 KiB, Apache 8 KiB a field)."""

HEAD_FORMS = 8
"""Forms of HTTP/1.1 heads that are remembered for speed, of requests and of answers: the kinds of clients that connect
in turn. A head as large as may be takes as much memory again for its form."""

HEADER_LIST = 256 << 10
"""Bytes of the decoded fields of one HTTP/2 header block (as RFC 9113 6.5.2 counts); Chrome accepts as many."""

HTTP2_OLDER_STREAMS = 64
"""Streams of one HTTP/2 connection, open before the capture, whose data is searched for frames (MIDSTREAM_BYTES of each
direction); servers allow some hundred at a time, few of them long-lived."""

HEADER_TABLE = 64 << 10
"""Bytes of the HPACK table of one direction (RFC 7541 4.2); Chrome and Firefox announce as many, others 4096."""

RESYNC_BYTES = 64 << 10
"""Bytes of one direction of HTTP/2 kept while its next frames are searched after a gap, or the request that they answer
has not come: four frames of the usual size."""

HELD_BEFORE_ANSWER = 1 << 20
"""Bytes a client may send between its upgrade request and the answer, kept until the answer says what they are."""

HELD_SEGMENTS_BYTES = 4 << 20
"""Bytes of one direction kept beyond a hole: more than a receive window that a host grants by default (Linux 6 MiB
at the most, rarely above 3 MiB in use)."""

KEPT_IN_ALL_BYTES = 48 << 20
"""Memory of all connections together for what is kept until more is known of it: beyond holes and after them, before an
answer, for secrets to come. Then what has been kept longest is let go, each in the way of its own bound. Some hundred
connections with a window in flight, and a third of the memory that is not for connections."""

LOST_AFTER_PACKETS = 500
"""Packets of the flow, after its peer acknowledged past a hole, until the hole counts as lost."""

LOST_AFTER_SECONDS = 30
"""Capture time, after its peer acknowledged past a hole, until the hole counts as lost."""

LINGER_SECONDS = 5
"""Capture time that an ended flow is kept for late packets: enough for a few retransmissions of a FIN (RFC 6298: the
first after 1 s at the most once a round trip is known)."""

TLS_HELD = 4 << 20
"""Bytes of one TLS connection kept while its secrets may still come in an input that can be read only once; there is
room for a dozen such (KEPT_IN_ALL_BYTES)."""

TLS_OUTLIVING = 4 << 10
"""Memory of a TLS connection that is over and waits for its secrets, beside what is held of it: counted with that."""

TLS_GIVEN_UP = 50_000
"""Client randoms remembered of TLS connections let go before their secrets came, to say of how many they did: 5 MB."""

TLS_TRIES = 200_000
"""Trial decryptions of records of one TLS connection, about a microsecond each: to find its secret, or its place after
lost bytes (a record for every 22 of them at the most)."""

TLS_PLACES = 64
"""Records of one direction whose place in the TCP stream is kept; frames asked about end in the last one."""

TLS_HANDSHAKE_MESSAGE = 1 << 18
"""Bytes of one TLS handshake message; certificate chains are far smaller (OpenSSL takes 100 KB by default)."""

TLS_CONTENTS = 4
"""Records of one TLS connection without keys that are remembered: two Closes and two alerts that may follow."""

TLS_RHYTHMS = 4
"""Sizes of record pairs of one TLS connection without keys whose rhythm is followed: both sides' Pings, and chance."""

TLS_UNASKED = 1 << 20
"""Bytes that a server inside TLS without keys may send while nothing looks like a WebSocket, with no word of its client
in between; then it counts as a download."""

TLS_FAILURES = 1000
"""Failed TLS handshakes kept until a WebSocket of the same service is found; each costs about 3 KB."""

TLS_ALERTS = 100
"""Alerts of one TLS connection that are kept; a fatal one is the last, close_notify comes once a side."""

INFLATED_MESSAGE = 64 << 20
"""Bytes that one compressed message may inflate to; a bomb makes 100 MB of 100 KB."""

COMPRESSED_MESSAGE = 16 << 20
"""Compressed bytes of one message that are kept until it is whole: text of several times the size."""

OUTSTANDING_PINGS = 1000
"""Unanswered Pings of one side kept for pairing with their Pongs."""

ROUND_TRIPS = 256
"""Times between a side's Pings and their Pongs kept for the median; of more every second is kept, then every fourth."""

HEAD_REQUESTS = 1000
"""Requests of one connection for a head alone whose answers have not come: clients wait for the first of them."""

SILENT_FLOWS = 400_000
"""TCP connections without payload, or without a WebSocket, that are known at a time, some 200 bytes each: then one not
heard of for long is forgotten. Its packets count as other TCP all the same; what comes of it later is looked at as of a
connection that began before the capture."""

REFUSED = 10_000
"""Pairs of a client and a service that refused its TCP connections, of which that is known: with all their times some
10 MB, but a scan of ports refuses each once."""

REFUSALS = 100
"""Times of one client's refused connections to one service that are kept; clients wait longer and longer."""

CLOSES_KEPT = 1000
"""Close frames of one side kept as rows; a peer sends one."""

FRAGMENTS_BYTES = 16 << 20
"""Bytes of IP fragments kept until their datagrams are whole; an end host keeps 4 MiB (Linux ipfrag_high_thresh)."""

FRAGMENTS_SECONDS = 60
"""Capture time that an incomplete datagram is kept (RFC 8200 4.5: 60 seconds)."""

NESTED_TUNNELS = 8
"""Encapsulations inside each other that are unwrapped."""

POINTS_SAMPLE = 32 << 20
"""Bytes read from the beginning of each file to tell whether files are different points of capture."""

READ_BUFFER = 1 << 20
"""Bytes of a capture file in memory at a time: large enough that reading costs nothing, small enough for the cache."""

RECORD_BYTES = 16 << 20
"""Bytes of one capture record that the read buffer grows to; packets of 256 KiB are the most that tools write."""

PACKET_BYTES = 256 << 10
"""Captured bytes of one packet that are believed where the file's own snapshot length is smaller (libpcap's most)."""

SECRETS_BYTES = 64 << 20
"""Bytes of decryption secrets kept from the capture files; a line of a key log takes about 200."""

INTERFACES = 1 << 16
"""Interfaces of one pcapng section that are kept; their numbers have 16 bits in the older packet block."""

SYNS_COMPARED = 10_000
"""SYN segments of each file that are compared to tell points of capture apart; one in common decides."""

SYN_PACKET_BYTES = 200
"""Captured bytes of a packet that may hold a SYN: two headers of the longest kinds and some tags; it has no data."""

PING_TIMES = 64
"""Times of the latest Pings of one side that are kept to tell their period; a median needs no more."""

FIRST_MESSAGE = 160
"""Bytes of each side's first message that are kept: enough to know by it what application speaks."""

BREACHES_KEPT = 4
"""Broken rules of one side kept to hold its peer's close code against; the last place is the latest one's."""

HEARTBEAT = 256
"""Bytes of a message that may be the heartbeat of an application: they say little more than that."""

CONTROL_PAYLOAD = 64 << 10
"""Bytes of one control frame's payload that are kept; RFC 6455 5.5 allows 125."""

RECONNECT_SECONDS = 600
"""Time after its end in which a connection's successor is looked for; back-offs rarely grow beyond some minutes."""

RECONNECTS_COMPARED = 100
"""Ended connections of clients that look alike among which a reconnect is judged; with more nothing is said of it."""

SEARCHED_BYTES = 256 << 10
"""Bytes of one direction kept after a hole until frames are found again: a chain of the larger usual frames fits."""

MIDSTREAM_BYTES = 64 << 10
"""Bytes of each direction of a connection that began before the capture in which a WebSocket is looked for."""

VIOLATIONS_KEPT = 100
"""Broken rules of one connection kept as rows; further ones are counted."""

FOUND_TEXT = 200
"""Characters of what was found that a row of the violations keeps."""

LEGS_COMPARED = 64
"""Connections among which the other leg of one is looked for: of more that were asked for meanwhile nobody can tell."""

LEGS_IN_A_ROW = 8
"""Connections with one key that may be the legs of proxies in a row; more share a key that is no nonce."""

TIMERS = 8
"""Timers of one service, side and code that are looked for; each is a setting of one program on the way."""

SILENCES_COMPARED = 8
"""Connections of a service with which one that a proxy ended is compared; more that ended alike show a timer anyway."""

KEYS_COMPARED = 100_000
"""Sec-WebSocket-Key values remembered to notice one that is used again."""
