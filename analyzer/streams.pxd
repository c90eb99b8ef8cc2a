cimport cython
from analyzer.flow_table cimport FlowTable
from analyzer.records cimport Flow, Half, Packet, Reader, Segment, SegmentReader

@cython.final
cdef class Streams(SegmentReader):
    cdef Packet packet
    cdef Segment in_hand
    cdef object openings, finished
    cdef FlowTable table
    cdef list live
    cdef object lingering
    cdef unsigned char[::1] states, seen
    cdef unsigned int[::1] low_initial, high_initial, packets
    cdef long long[::1] start, first_packet
    cdef int[::1] first_file
    cdef long long lost_after_packets, lost_after_time, linger, held_limit, held_in_all_limit, held_in_all
    cdef dict holes
    cdef readonly long long websocket_packets, other_packets
    cdef bint _begins_anew(self, Flow flow, Half half)
    cdef Py_ssize_t _new(self)
    cdef object _reset(self, Py_ssize_t index)
    cdef object _make_room(self)
    cdef object _light(self, Py_ssize_t index, bint forward)
    cdef object _ignored(self, Py_ssize_t index, bint forward)
    cdef object _live(self, Py_ssize_t index, bint forward)
    cdef Flow _promote(self, Py_ssize_t index)
    cdef object _ignore(self, Flow flow)
    cdef object _payload(self, Half half)
    cdef object _take(self, Half half, Py_ssize_t start, Py_ssize_t stop, long long length)
    cdef object _hand(self, Half half, Py_ssize_t start, Py_ssize_t stop)
    cdef bint _control(self, Flow flow, Half half)
    cdef object _forget(self, Py_ssize_t index)
    cdef object _hold_rest(self, Half half, Py_ssize_t start, Py_ssize_t stop, long long length)
    cdef bint _open(self, Half half, Py_ssize_t start, Py_ssize_t stop)
    cdef object _hand_gap(self, Half half, long long size, bint cut)
    cdef object _hold(self, Half half, long long ahead, long long length)
    cdef object _release(self, Half half, bint lost)
    cdef object _lose(self, Half half)
    cdef object _weigh_held(self, Half half)
    cdef object _lose_longest(self)
    cdef object _watch_hole(self, Flow flow, Half half)
    cdef object _check_fin(self, Flow flow, Half half)
    cdef object _reset_by(self, Flow flow, Half half)
    cdef object _end(self, Flow flow, long long time)
    cdef object _forget_ended(self, Flow flow)
    cdef object _finish(self, Flow flow)
    cdef object _settle(self, Flow flow, Half half)
    cdef object _lose_tail(self, Half half)

cdef int FIN, SYN, RST, ACK
cdef int END_CAPTURE, END_FIN, END_RST
cdef int FREE, LIGHT, LIVE, IGNORED
cdef long long WRAP, HALF_WRAP, OUTSIDE, PAUSE, MISSING, NO_TIME
cdef unsigned long long LOW_32

cdef long long difference(unsigned int one, unsigned int other)
cdef unsigned int advance(unsigned int sequence, long long by)
cdef object _cut_short(Half half)
cdef bint _is_whole(Half half)
cdef object _synchronise(Half half, unsigned int initial)
cdef object _start_at(Half half, unsigned int sequence)
