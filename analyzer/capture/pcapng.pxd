# C types of the pcapng walker; what each field means stands in pcapng.py.
from analyzer.capture.pcap cimport Walker
from analyzer.records cimport Packet, PacketReader

cdef long long NO_TIME
cdef int SECTION, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET

cdef long long word(const unsigned char[::1] data, Py_ssize_t at, bint big) except -1

cdef class Interface:
    cdef public int link_type, point
    cdef public long long snapshot, scale, most
    cdef public object resolution, offset
    cpdef long long time(self, long long upper, long long lower) except *

cdef class PcapngWalker(Walker):
    cdef public list interfaces, secrets
    cdef public long long secrets_bytes, interfaces_seen
    cdef public long long index, captured, wire, time
    cdef public Py_ssize_t body
    cdef public Interface interface
    cpdef bint section(self, Py_ssize_t at) except *
    cpdef long long block(self, Py_ssize_t at, Py_ssize_t stop) except -1
    cpdef bint fields(self, int kind, Py_ssize_t at, Py_ssize_t stop) except *
    cpdef void describe(self, long long kind, Py_ssize_t at, Py_ssize_t stop)
    cpdef void remark(self, str what, Py_ssize_t at)
