# C types of ledger.py.

from analyzer.records cimport Connection, Flow, Half, Side

cdef class ByteLedger:
    cdef long long duplicate, before, handshake, frames, skipped, over, after, conflicting, lost, cut
    cdef readonly long long captured
    cdef dict layers
    cpdef object add(self, Flow flow)
    cdef object half(self, Half half)
    cpdef object connection(self, Connection connection)
    cpdef dict counts(self)

cpdef object part(Flow flow)
cpdef object part_connection(Connection connection)
cdef object part_side(Side side)
cdef object part_half(Half half)
