"""What a direction of TLS carried: a source of ordered bytes like TCP's."""

from __future__ import annotations

from collections import deque

from analyzer import limits
from analyzer.records import Source


class Plaintext(Source):
    """The decrypted bytes of one direction. offset counts them; carrier: the source of the records.

    places: (offset, offset in the carrier of the last byte of its record) of the last records.
    """

    def __init__(self, carrier: Source) -> None:
        super().__init__()
        self.carrier = carrier
        self.places: deque[tuple[int, int]] = deque(maxlen=limits.TLS_PLACES)

    def transport_offset(self, offset: int) -> int:
        """See Source. A byte counts as carried by the last byte of its record: without that nobody can read it."""
        place = self.places[0][1] if self.places else self.carrier.offset
        for start, last in reversed(self.places):
            if start <= offset:
                place = last
                break
        return int(self.carrier.transport_offset(place))
