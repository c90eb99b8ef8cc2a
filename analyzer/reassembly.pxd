cimport cython
from analyzer.records cimport Flow, Half, Packet, Reader, Segment, SegmentReader
from analyzer.room cimport Room

cdef class Reassembly(SegmentReader):
    cdef Packet packet
    cdef Segment in_hand
    cdef long long lost_after_packets, lost_after_time, held_limit
    cdef Room room
    cdef bint open(self, Half half, Py_ssize_t start, Py_ssize_t stop) except? True
    cdef object unread(self, Flow flow)
    cdef object end(self, Flow flow, long long time)
    cdef object synchronise(self, Half half, unsigned int initial)
    cdef object acknowledge(self, Half half)
    cdef object payload(self, Half half)
    cdef object watch_hole(self, Flow flow, Half half)
    cdef object control(self, Flow flow, Half half)
    cdef object take_fin(self, Half half, unsigned int sequence, long long time)
    cdef object shut(self, Half half)
    cdef object probe(self, Half half)
    cdef object check_fin(self, Flow flow, Half half)
    cdef object settle(self, Flow flow)
    cdef object drop_held(self, Half half)
    cdef bint begins_anew(self, Flow flow, Half half) except? True
    @cython.final
    cdef object _hold_rest(self, Half half, Py_ssize_t start, Py_ssize_t stop, long long length)
    @cython.final
    cdef object _take(self, Half half, Py_ssize_t start, Py_ssize_t stop, long long length)
    @cython.final
    cdef object _hand(self, Half half, Py_ssize_t start, Py_ssize_t stop)
    @cython.final
    cdef bint _begin(self, Half half, Py_ssize_t start, Py_ssize_t stop) except? True
    @cython.final
    cdef object _hand_gap(self, Half half, long long size, bint cut)
    @cython.final
    cdef object _hold(self, Half half, long long ahead, long long length)
    @cython.final
    cdef object _release(self, Half half, bint lost)
    @cython.final
    cdef object _release_piece(self, Half half, bint lost)
    @cython.final
    cdef object _fill_hole(self, Half half)
    @cython.final
    cdef object _lose(self, Half half)
    @cython.final
    cdef object _pass_hole(self, Half half)
    cpdef object give_way(self, Half half)
    @cython.final
    cdef object _lose_tail(self, Half half)
    @cython.final
    cdef object _weigh_held(self, Half half)
    @cython.final
    cdef object _again(self, Half half)
    @cython.final
    cdef object _reset_by(self, Flow flow, Half half)

cdef int FIN, SYN, RST, ACK
cdef int END_CAPTURE, END_FIN, END_RST
cdef long long HALF_WRAP, LOW_32, OUTSIDE, MISSING, NO_TIME

cdef long long difference(long long one, long long other)
cdef unsigned int advance(long long sequence, long long by)
cdef object start_at(Half half, unsigned int sequence)
