# C types of the pcapng walker; what each field means stands in pcapng.py.
cimport cython
from analyzer.capture.pcap cimport Walker
from analyzer.records cimport Packet, PacketReader

cdef long long NO_TIME
cdef int SECTION, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET

@cython.final
cdef class Interface:
    cdef public int link_type, point
    cdef public long long snapshot, scale, most
    cdef public object resolution, offset
    cdef long long time(self, long long upper, long long lower) except? 0

@cython.final
cdef class PcapngWalker(Walker):
    cdef public list interfaces, secrets
    cdef public long long secrets_bytes, interfaces_seen
    cdef public long long kind, index, captured, wire, time
    cdef public Py_ssize_t body
    cdef public Interface interface
    cdef bint section(self, Py_ssize_t at) except? 0
    cdef long long block(self, Py_ssize_t at, Py_ssize_t stop) except? 0
    cdef bint fields(self, int kind, Py_ssize_t at, Py_ssize_t stop) except? 0
    cdef object describe(self, long long kind, Py_ssize_t at, Py_ssize_t stop)
    cdef object remark(self, str what, Py_ssize_t at)
    cdef unsigned int word(self, Py_ssize_t at) except? 1
