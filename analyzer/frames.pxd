cimport cython
from analyzer.chains cimport Chains
from analyzer.records cimport Frame, FramePayloadReader, Moment, Packet, Reader, Side, Source
from analyzer.room cimport Room

@cython.final
cdef class FrameReader(Reader):
    cdef Packet packet
    cdef Source source
    cdef Side side
    cdef Room room
    cdef FramePayloadReader payloads
    cdef long long base
    cdef bint in_payload
    cdef int header_held
    cdef bytearray header
    cdef readonly Frame frame_in_hand
    cdef unsigned long long remaining
    cdef long long lost
    cdef Chains chains
    cdef Moment close_begun
    cdef Py_ssize_t _whole_frames(self, Py_ssize_t at, Py_ssize_t stop)
    cdef Py_ssize_t _hold_header(self, Py_ssize_t at, Py_ssize_t stop)
    cdef object _begin(self, Py_ssize_t at, int size)
    cdef object _complete(self, long long offset)
    cdef object _account_unfinished(self)
    cdef object _finish(self)
    cdef object _leave(self)
    cdef object _lose_track(self, long long size, bint cut)
    cdef object _complete_without_end(self, long long offset, bint lost)
    cdef object _search(self, Py_ssize_t start, Py_ssize_t stop)

cdef int END_CAPTURE, END_FIN, END_RST, CLOSE

cdef int header_size(int second) noexcept
cdef unsigned int big_endian(Packet packet, Py_ssize_t at) except? 7
