"""The closed vocabularies of the diagnosis: causes, what they rest on, who, and clocks."""

OBSERVED, INFERRED = "observed", "inferred"
BASES = (OBSERVED, INFERRED)
SUPPORTED, CONTRADICTED, UNVERIFIABLE = "supported", "contradicted", "unverifiable"
VERDICTS = (SUPPORTED, CONTRADICTED, UNVERIFIABLE)
"""Of a close code: the packets show what it says, or something else, or neither."""
AGENTS = ("client", "server", "both", "proxy", "middlebox", "network")
CLOCK_NAMES = (
    *("idle", "client idle", "server idle", "client messages", "lifetime"),
    *("ping", "after Close", "handshake"),
)
IDLE, CLIENT_IDLE, SERVER_IDLE, CLIENT_MESSAGES, LIFETIME, PING, AFTER_CLOSE, HANDSHAKE_CLOCK = CLOCK_NAMES

SINCE = (
    *("the last frame of either side", "the client's last frame", "the server's last frame"),
    *("the client's last message, with Pings or Pongs since", "the opening"),
)
"""What a timer's clock runs from, by the numbers of timers.CLOCKS."""

CAUSES = {
    "bad request": "the upgrade was refused as malformed (HTTP 400 and the like)",
    "wrong version": "the upgrade was refused for its WebSocket version (HTTP 426)",
    "unauthorized": "the upgrade was refused for want of credentials (HTTP 401, 407)",
    "forbidden": "the upgrade was refused by policy, often for its Origin (HTTP 403)",
    "not found": "no such path (HTTP 404, 410)",
    "redirected": "the answer points elsewhere (HTTP 3xx); WebSocket clients do not follow",
    "not a WebSocket": "an ordinary answer (HTTP 2xx): nothing there speaks WebSocket",
    "rate limited": "too many requests (HTTP 429)",
    "server failed": "the server failed while answering the upgrade (HTTP 5xx)",
    "bad gateway": "a proxy could not reach the server behind it (HTTP 502, Close 1014)",
    "unavailable": "a server, or a proxy before it, takes no connections now (HTTP 503)",
    "gateway timeout": "the server behind a proxy did not answer in time (HTTP 504)",
    "refused": "the upgrade was refused with another status",
    "handshake closed": "the server ended the TCP connection instead of answering the upgrade",
    "handshake reset": "the server reset the TCP connection instead of answering the upgrade",
    "handshake timeout": "the upgrade was not answered and the client gave up waiting",
    "handshake rejected": "the client rejected the answer 101 and ended the connection",
    "TLS failure": "the TLS handshake failed, so no WebSocket could be asked for",
    "clean close": "a side closed it as meant to",
    "client navigation": "the client went away: a page left or closed (Close 1001)",
    "going away": "the server went away or let the connection go (Close 1001), alone",
    "server shutdown": "the server closed all its connections at once",
    "server restart": "the server announced a restart (Close 1012)",
    "server stopped": "the server's connections all ended at once without a Close: its process ended, killed or not",
    "overload": "the server was over its load or limit (Close 1013)",
    "protocol error": "a side failed the connection for a breach of the protocol (Close 1002)",
    "unsupported data": "a side got a kind of data that it can't take (Close 1003)",
    "invalid payload": "a side got text or compressed data that is not valid (Close 1007)",
    "policy": "a side closed by its policy (Close 1008)",
    "message too big": "a message was larger than its receiver takes (Close 1009)",
    "missing extension": "the client needed an extension that the server did not agree to (Close 1010)",
    "internal error": "a side failed (Close 1011)",
    "unfounded code": "a Close whose code the packets contradict: what it says did not happen",
    "illegal code": "a Close with a code that must not be on the wire",
    "application code": "a Close with a code of the application (3000-4999)",
    "keepalive timeout": "a Ping got no Pong in time; the side that sent it gave up",
    "late pong": "a side gave up on a Pong; the other one lived: its Pong, or its answer to the Close, came later",
    "heartbeat missed": "the application's own heartbeat stayed away",
    "idle timer": "nothing was sent for as long as a timer allows",
    "lifetime timer": "a timer ends every connection at the same age",
    "idle expiry": "a device on the way (NAT, firewall) forgot the idle connection and reset its next packet",
    "close timeout": "a Close was never answered, and its sender gave up",
    "peer vanished": "a side stopped answering anything, even on the level of TCP",
    "zero window": "a side stopped reading: its receive window stayed closed",
    "reset": "a side reset the TCP connection, or its HTTP/2 stream, without a Close",
    "middlebox reset": "a device on the way reset the connection; the TTL is not the other side's",
    "other leg": "a proxy passed on the end of its connection on the other side",
    "close lost": "a Close was sent and never came: two points of capture, or the legs of a proxy, show it",
    "dropped": "a side ended the TCP connection, or its HTTP/2 stream, without a Close, for no visible reason",
    "capture ended": "it was open when the capture ended",
    "not enough bytes": "what would tell is missing from the capture, or encrypted",
}
"""The closed vocabulary of the column `cause`, and what each word means."""
