# C types of keeping.py; what each field means stands there.

from analyzer.records cimport Half, Moment, Packet, Reader, Source
from analyzer.room cimport Room

cdef class Keeper(Reader):
    cdef public long long other_bytes
    cdef public Source source
    cdef public Half half
    cdef Packet packet
    cdef bytearray pending
    cdef list held
    cdef long long held_cost, over_bytes, over_gap
    cdef int ended
    cdef bint weighed
    cdef Room room
    cpdef object left_out(self, long long size)
    cpdef object gave_way(self)
    cpdef object deliver(self, Py_ssize_t at, Py_ssize_t stop, long long offset)
    cpdef object keep(self, Py_ssize_t at, Py_ssize_t stop, long long offset)
    cpdef object hold_gap(self, long long size, bint cut)
    cdef object weigh(self, long long cost)
    cpdef bint holds_frames(self)
    cpdef object release(self)
    cpdef object replay(self, bytes chunk, Moment moment, long long offset)
    cpdef object replay_gap(self, long long size, bint cut, long long offset)
    cpdef object settle(self)

cdef long long HELD_ENTRY
