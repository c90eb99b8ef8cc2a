# C types of pipeline.py; what each field means stands there.

from analyzer.frames cimport FrameReader
from analyzer.ledger cimport ByteLedger, part, part_connection
from analyzer.messages cimport MessageReader
from analyzer.records cimport Connection, Flow, Frame, Half, Observer, Packet, Segment, Side, Source
from analyzer.rules.judging cimport Rules

cdef class Pipeline:
    cdef Packet packet
    cdef Segment segment
    cdef Observer observer
    cdef frozenset tables
    cdef bint payloads, closes_left_out
    cdef Py_ssize_t connections
    cdef long long no_websocket_packets
    cdef Rules rules
    cdef ByteLedger bytes
    cdef object openings, account, streams, packets, captures, secrets, inputs, options, room, services
    cdef object settle(self, Connection connection, Flow flow)
    cdef object conclude(self, Connection connection)
    cdef object read_frames(self, Side side, object judge)

cdef int END_CAPTURE
cdef Side _side_of(Connection connection, Half half)
