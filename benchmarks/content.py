"""What the workloads' messages say."""

from __future__ import annotations

import random
import zlib

from wire import RSV1, TEXT, frame, masked_frame


def prose(size: int, draw: random.Random) -> bytes:
    """Some `size` bytes of UTF-8, one word in fifty not ASCII."""
    ascii_words = "connection closed by the peer after a timeout of seconds {id: 7}".split()
    words = ascii_words * 14 + "Zürich naïve 日本 €".split()
    text = " ".join(draw.choices(words, k=size // 5)).encode()
    return text[: character_start(text, size)]


def character_start(text: bytes, at: int) -> int:
    """The first place from `at` where a character starts, or the end."""
    while at < len(text) and text[at] & 0xC0 == 0x80:
        at += 1
    return min(at, len(text))


class Material:
    """Payloads that connections take theirs from."""

    def __init__(self, draw: random.Random) -> None:
        """Some megabytes of text and of random bytes, and a thousand small texts of 32 and of 28 bytes."""
        self.text = prose(4_000_000, draw)
        self.noise = draw.randbytes(4_000_000)
        self.ticks = [
            b'{"s":"EURUSD","p":%d.%d,"q":%d}'
            % (draw.randrange(10_000, 99_999), draw.randrange(10), draw.randrange(1, 10))
            for _ in range(1000)
        ]
        self.orders = [b'{"cmd":"subscribe","id":%d}' % draw.randrange(100, 1000) for _ in range(1000)]

    def text_of(self, size: int, draw: random.Random) -> bytes:
        """Valid UTF-8 of exactly `size` bytes."""
        start = character_start(self.text, draw.randrange(len(self.text) - size - 4))
        end = start + size
        while self.text[end] & 0xC0 == 0x80:  # never inside a character: end before it, and fill with spaces
            end -= 1
        return self.text[start:end] + b" " * (start + size - end)

    def noise_of(self, size: int, draw: random.Random) -> bytes:
        """Exactly `size` random bytes."""
        start = draw.randrange(len(self.noise) - size)
        return self.noise[start : start + size]


class Small:
    """Small plain text messages, 100-byte packets in both directions."""

    extension = b""

    def __init__(self, material: Material) -> None:
        """The server's frames are made once; a client's mask differs each time."""
        self.ticks = [frame(TEXT, tick) for tick in material.ticks]
        self.orders = [order.ljust(28) for order in material.orders]

    def from_server(self, index: int, connection: int, draw: random.Random) -> bytes:
        """The frame of the server's message number `index`."""
        return self.ticks[(index * 7 + connection * 31) % 1000]

    def from_client(self, index: int, connection: int, draw: random.Random) -> bytes:
        """The frame of the client's message number `index`."""
        return masked_frame(TEXT, self.orders[(index + connection) % 1000], draw.randbytes(4))


class Deflated:
    """JSON messages compressed with permessage-deflate and context takeover (RFC 7692).

    A connection follows one of `CHANNELS` sequences, each compressed once from its beginning, so that
    neighbouring connections inflate different bytes.
    """

    extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    CHANNELS = 16

    def __init__(self, draw: random.Random) -> None:
        """Messages are made when the first connection of a channel comes to them."""
        self.draw = random.Random(draw.getrandbits(32))
        self.compressors = [zlib.compressobj(6, zlib.DEFLATED, -15) for _ in range(2 * self.CHANNELS)]
        self.payloads: list[list[bytes]] = [[] for _ in self.compressors]

    def from_server(self, index: int, connection: int, draw: random.Random) -> bytes:
        """The frame of the server's message number `index`."""
        return frame(TEXT, self.payload(index, connection % self.CHANNELS), RSV1)

    def from_client(self, index: int, connection: int, draw: random.Random) -> bytes:
        """The frame of the client's message number `index`."""
        payload = self.payload(index, self.CHANNELS + connection % self.CHANNELS)
        return masked_frame(TEXT, payload, draw.randbytes(4), RSV1)

    def payload(self, index: int, channel: int) -> bytes:
        """The compressed payload of message `index`; those before it were asked for earlier."""
        payloads = self.payloads[channel]
        if index == len(payloads):
            compressor = self.compressors[channel]
            compressed = compressor.compress(self.message(index)) + compressor.flush(zlib.Z_SYNC_FLUSH)
            payloads.append(compressed[:-4])  # without 00 00 FF FF, RFC 7692 section 7.2.1
        return payloads[index]

    def message(self, index: int) -> bytes:
        """A JSON text of some 400 bytes."""
        draw = self.draw.randrange
        levels = ",".join(f"[{draw(40000, 42000)}.{draw(100):02},{draw(1, 5000)}]" for _ in range(16))
        head = f'{{"type":"depth","symbol":"BTCUSD","sequence":{index},"time":{1700000000000 + index * 20}'
        return f'{head},"bids":[{levels[: len(levels) // 2].rpartition(",[")[0]}],"asks":[{levels}]}}'.encode()
