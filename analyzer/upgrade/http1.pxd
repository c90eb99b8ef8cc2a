# C types of http1.py; what each field means stands there.

from analyzer.records cimport Connection, Flow, Half, Packet, Source
from analyzer.room cimport Room
from analyzer.upgrade.directions cimport Direction, Exchange
from analyzer.upgrade.heads cimport FieldLines, first_line, look, status_of

cdef int NOTHING, UPGRADE_ANSWER, TUNNEL_ANSWER
cdef Py_ssize_t KEY, HOST, UPGRADE, PROTOCOL, ACCEPT, EXTENSIONS, LENGTH, ENCODING, ORIGIN, USER_AGENT, X_FORWARDED_FOR, FORWARDED
cdef long long NO_LENGTH, IN_CHUNKS
cdef Py_ssize_t FIRST_LOOK

cdef class Openings:
    cdef public Packet packet
    cdef public object accept, recognised, judge
    cdef public dict kinds, layers
    cdef public Room room
    cdef public frozenset ports
    cdef FieldLines requests, answers
    cpdef bint begin(self, Flow flow, Source low, Source high, Py_ssize_t start, Py_ssize_t stop)
    cpdef object count(self, str kind)
    cpdef bint begin_frames(self, Flow flow, Source low, Source high, bytes text)
    cpdef Opening read_http(self, Flow flow, Source low, Source high)

cdef class Opening(Exchange):
    cdef public Flow flow
    cdef public Direction low, high
    cdef Openings openings
    cdef Connection connection
    cdef list head_requests
    cdef bytes cut_request
    cdef long long asked, answered
    cdef int waiting, last_status
    cpdef object ask_upgrade(self, bytes line, list fields, Py_ssize_t size)
    cpdef Connection connect(self, str basis)
    cpdef object describe(self, bytes line, list fields, Py_ssize_t size)
    cpdef bint answers_head(self)
    cpdef object final_answer(self, int status, Py_ssize_t size)
    cpdef object refuse(self, int status, Py_ssize_t size)
    cpdef object switch(self, list fields, Py_ssize_t size, bint whole)
    cdef object suppose_compression(self, bint asked)
    cpdef object unasked(self)
    cpdef object judge_early(self)
    cpdef object open_tunnel(self)
    cpdef object part(self)
    cdef object leave_account(self)
