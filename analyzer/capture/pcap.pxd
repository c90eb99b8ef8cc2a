# C types of the walkers; what each field means stands in pcap.py.
cimport cython
from analyzer.records cimport Packet, PacketReader

cdef long long NO_TIME, NO_LIMIT
cdef long long NANOSECONDS

cpdef Py_ssize_t alternate(list walkers, long long limit) except -2

cdef class Walker:
    cdef public const unsigned char[::1] data
    cdef public Py_ssize_t start, stop
    cdef public Packet packet
    cdef public PacketReader reader
    cdef public int file
    cdef public long long since, until
    cdef public long long number, outside, unreadable
    cdef public bint started, big, held
    cdef public long long next_time, needed, skip
    cdef public str broken
    cdef public dict remarks
    cdef public object point_of
    cpdef Py_ssize_t walk(self, Py_ssize_t start, Py_ssize_t stop, long long limit) except -1

@cython.final
cdef class PcapWalker(Walker):
    cdef public int link_type, point
    cdef public long long header, scale, most, frame_check
    cdef object file_header(self, Py_ssize_t at)
    cdef unsigned int word(self, Py_ssize_t at) except? 1
