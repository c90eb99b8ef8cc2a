cimport cython
from analyzer.flow_table cimport FlowTable
from analyzer.reassembly cimport Reassembly
from analyzer.records cimport Flow, Half, Packet, Reader, Segment
from analyzer.room cimport Room

@cython.final
cdef class Streams(Reassembly):
    cdef FlowTable table
    cdef list live
    cdef object openings, finished, lingering
    cdef unsigned char[::1] states, seen
    cdef unsigned int[::1] low_initial, high_initial, packets, fin_sequence
    cdef long long[::1] start, first_packet, fin_time
    cdef int[::1] first_file
    cdef long long linger
    cdef Py_ssize_t silent_limit, silent, hand
    cdef readonly long long forgotten, refused_left_out, websocket_packets, other_packets
    cdef readonly dict refused
    cdef Py_ssize_t _new(self)
    cdef object _reset(self, Py_ssize_t index)
    cdef object _make_room(self)
    cdef object _remember(self, Py_ssize_t index, Half low, Half high)
    cdef object _forget(self, Py_ssize_t index)
    cdef object _light(self, Py_ssize_t index, bint forward)
    cdef object _ignored(self, Py_ssize_t index, bint forward)
    cdef object _live(self, Py_ssize_t index, bint forward)
    cdef object _data(self, Flow flow, Half half)
    cdef object _watch_holes(self, Flow flow)
    cdef object _pause(self, Flow flow)
    cdef object _refuse(self, unsigned int initial)
    cdef Flow _promote(self, Py_ssize_t index)
    cdef object _ignore(self, Flow flow)
    cdef object _drop(self, Flow flow)
    cdef object _forget_silent(self)
    cdef object _forget_ended(self, Flow flow)
    cdef object _finish(self, Flow flow)

cdef int FIN, SYN, RST, ACK
cdef int END_CAPTURE
cdef int FREE, LIGHT, LIVE, IGNORED, TOUCHED
cdef long long PAUSE, LOW_32, NO_TIME

cdef object _cut_short(Half half)
cdef bint _is_whole(Half half)
