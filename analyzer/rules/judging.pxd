# C types of judging.py; what each field means stands there.

from analyzer.records cimport Close, Connection, Half, Observer, Packet, Side

cdef class Rules:
    cdef readonly Packet packet
    cdef Observer observer
    cdef bint told
    cdef object frames, connecting
    cdef dict keys
    cdef long long latest
    cdef tuple asked, answered
    cdef tuple asked_findings, answered_findings
    cpdef object judge_of(self, Connection connection)
    cpdef object request(self, Connection connection, bytes line, list fields)
    cdef tuple request_findings(self, list fields)
    cpdef object early(self, Connection connection, bytes sent, long long packet, int file)
    cdef object _answered(self, Connection connection)
    cpdef object answer(self, Connection connection, list fields)
    cdef tuple answer_findings(self, Connection asked, list fields)
    cpdef object connection(self, Connection connection)

cdef long long NO_TIME
cdef Py_ssize_t KEY, HOST, UPGRADE, CONNECTION, VERSION, PROTOCOL, ACCEPT, EXTENSIONS
cdef str _key_at(Connection connection, str key)
cdef bint _is_usual(Side client, Side server) except? True
