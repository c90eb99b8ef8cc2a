# C types of http1.py; what each field means stands there.

from analyzer.records cimport Connection, Flow, Half, Packet, Reader, Source
from analyzer.upgrade.heads cimport FieldLines, head_end, look, status_of

cdef int START, NEXT, HEAD, PREFACE, CHUNK, TRAILER, HELD, SEARCH
cdef int NOTHING, UPGRADE_ANSWER, TUNNEL_ANSWER
cdef long long EVERYTHING, HELD_LIMIT, HELD_ENTRY, NO_LENGTH, IN_CHUNKS
cdef Py_ssize_t HEAD_LIMIT, FIRST_LOOK, CHUNK_LINE_LIMIT

cdef class Openings:
    cdef public Packet packet
    cdef public object accept, recognised
    cdef public dict kinds
    cdef FieldLines field_lines
    cpdef bint begin(self, Flow flow, Half half, Py_ssize_t start, Py_ssize_t stop)
    cpdef void count(self, str kind)

cdef class Opening:
    cdef public Flow flow
    cdef public Direction low, high
    cdef Direction client, server
    cdef Openings openings
    cdef Connection connection
    cdef list head_requests
    cdef bytes cut_request
    cdef str proxied
    cdef long long asked, answered
    cdef int waiting, last_status
    cdef bint uncertain, answers_missing, answer_lost
    cpdef bint expects(self, Direction direction, int kind)
    cpdef void meet(self, Direction direction, int kind)
    cpdef void give_up(self)
    cpdef long long request(self, bytes head)
    cpdef void ask_upgrade(self, bytes line, object fields, Py_ssize_t size)
    cpdef Connection connect(self, str basis)
    cpdef void describe(self, bytes line, object fields, Py_ssize_t size)
    cpdef long long answer(self, bytes head)
    cpdef bint answers_head(self)
    cpdef void final_answer(self, int status, Py_ssize_t size)
    cpdef void refuse(self, int status, Py_ssize_t size)
    cpdef void switch(self, object fields, Py_ssize_t size)
    cpdef void unasked(self)
    cpdef void presume(self)
    cpdef void open_tunnel(self)
    cpdef void lost_request(self, bytes begun)
    cpdef void lost_answer(self, bytes begun)

cdef class Direction(Reader):
    cdef public long long other_bytes
    cdef Direction peer
    cdef Source source
    cdef Half half
    cdef Opening opening
    cdef Packet packet
    cdef Reader after
    cdef bytearray pending
    cdef list held
    cdef long long body, held_cost, over_bytes, over_gap
    cdef Py_ssize_t wanted
    cdef int phase, preface, ended
    cdef bint late
    cpdef Py_ssize_t step(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef Py_ssize_t message(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef Py_ssize_t head(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef Py_ssize_t take_from(self, object begun, Py_ssize_t searched, Py_ssize_t limit, Py_ssize_t origin)
    cpdef void take_head(self, bytes head)
    cpdef Py_ssize_t collect(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef void take_preface(self, bytes message)
    cpdef Py_ssize_t line(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef void take_line(self, bytes line)
    cpdef Py_ssize_t pass_body(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef Py_ssize_t unexpected(self, int kind, Py_ssize_t at, Py_ssize_t stop)
    cpdef void deliver(self, Py_ssize_t at, Py_ssize_t stop, long long offset)
    cpdef void hold(self, Py_ssize_t at, Py_ssize_t stop, long long offset)
    cpdef void hold_gap(self, long long size, bint cut)
    cpdef bint holds_frames(self)
    cpdef void release(self)
    cpdef void replay(self, bytes chunk, long long time, long long number, int file, long long offset)
    cpdef void replay_gap(self, long long size, bint cut)
    cpdef void resume(self)
    cpdef void settle(self)
