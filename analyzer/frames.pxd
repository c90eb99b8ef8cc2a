from analyzer.chains cimport Chains
from analyzer.records cimport Frame, FramePayloadReader, Moment, Packet, Reader, Side, Source

cdef class FrameReader(Reader):
    cdef Packet packet
    cdef Source source
    cdef Side side
    cdef readonly Frame frame_in_hand
    cdef FramePayloadReader payloads
    cdef bytearray header
    cdef int header_held
    cdef bint in_payload
    cdef unsigned long long remaining
    cdef long long base, lost
    cdef Chains chains
    cpdef object data(self, Py_ssize_t start, Py_ssize_t stop)
    cpdef object gap(self, long long size, bint cut)
    cpdef object end(self, int how)
    cdef Py_ssize_t _hold_header(self, Py_ssize_t at, Py_ssize_t stop)
    cdef object _begin(self, Py_ssize_t at, int size)
    cdef object _complete(self, long long offset)
    cdef object _account_unfinished(self)
    cdef object _finish(self)
    cdef object _lose_track(self, long long size, bint cut)
    cdef object _complete_without_end(self, long long offset, bint lost)
    cdef object _search(self, Py_ssize_t start, Py_ssize_t stop)

cdef int header_size(int second) noexcept
