# C types of services.py; what each field means stands there.

from analyzer.records cimport Connection, Flow, Half

cdef class Services:
    cdef frozenset _ports
    cdef set _known
    cdef list _waiting
    cdef public long long left_out, others
    cpdef object add(self, Connection connection)

cdef list _names(Connection connection)
