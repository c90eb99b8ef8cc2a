# C types of the packet stage; what each name means stands in packets.py.

cimport cython
from analyzer.records cimport Packet, PacketReader, Segment, SegmentReader

cdef int NULL, ETHERNET, RAW_BSD, RAW_OPENBSD, RAW, LOOP, LINUX_COOKED, IPV4, IPV6, LINUX_COOKED2
cdef int TYPE_IPV4, TYPE_IPV6, TYPE_MPLS, TYPE_MPLS_MULTICAST, TYPE_BRIDGING, TYPE_PPP, TYPE_PPPOE, TYPE_LLC_MOST
cdef int TAG_8021Q, TAG_8021AD, TAG_9100, TAG_9200
cdef int HOP_BY_HOP, IP_IN_IP, TCP, UDP, IPV6_IN_IP, ROUTING, FRAGMENT, GRE, AUTHENTICATION, DESTINATION, MOBILITY
cdef int VXLAN_PORT, VXLAN_LINUX_PORT, GENEVE_PORT, GTP_PORT
cdef int FIN, SYN
cdef long long LOW_32
cdef int DATAGRAM_MOST, TUNNELS_MOST

@cython.final
cdef class Packets(PacketReader):
    cdef Packet current
    cdef Segment segment
    cdef SegmentReader reader
    cdef object unwrap, fragments
    cdef int depth
    cdef long long not_tcp, held_fragments, joined_fragments, too_deep
    cdef long long unknown_link, damaged_link, damaged_ip, damaged_tcp
    cpdef dict counts(self)
    cdef int link(self, int link_type, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef int typed(self, int ethertype, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef int family(self, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef int ip(self, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef int ip4(self, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef int ip6(self, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef int payload(self, int protocol, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef int tcp(self, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef bint header(self, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except? True
    cdef int udp(self, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef int fragment(
        self, int protocol, unsigned int identification, int field, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end
    ) except -1
    cdef int piece(
        self, object key, bytes piece, bint leads, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end
    ) except -1
    cdef int rest(self, Py_ssize_t handed, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef int inside(self, str layer, int number, Py_ssize_t at, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef bint deeper(self) except? True

cdef unsigned int word(Packet packet, Py_ssize_t at) except? 7
cdef unsigned long long double_word(Packet packet, Py_ssize_t at) except? 7
