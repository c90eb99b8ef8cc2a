# C types of directions.py; what each field means stands there.

from analyzer.records cimport Connection, Half, Moment, Packet, Reader, Side, Source
from analyzer.room cimport Room
from analyzer.upgrade.heads cimport head_end, look
from analyzer.upgrade.keeping cimport Keeper

cdef int START, NEXT, HEAD, PREFACE, CHUNK, TRAILER, HELD, SEARCH
cdef long long EVERYTHING, NO_LENGTH, IN_CHUNKS
cdef Py_ssize_t HEAD_LIMIT, SMALL_HEAD, CHUNK_LINE_LIMIT

cdef class Exchange:
    cdef Direction client, server
    cdef public str proxied
    cdef int depth
    cdef bint uncertain, answers_missing, answer_lost
    cpdef bint expects(self, Direction direction, int kind)
    cpdef object meet(self, Direction direction, int kind)
    cpdef object handed_over(self)
    cpdef object count(self, str kind)
    cpdef object give_up(self)
    cpdef bint hand_over(self, int kind, bint exact)
    cpdef Connection row(self)
    cpdef long long request(self, bytes head)
    cpdef long long answer(self, bytes head)
    cpdef object lost_request(self, bytes begun)
    cpdef object lost_answer(self, bytes begun)
    cpdef object presume(self)

cdef class Direction(Keeper):
    cdef public Direction peer
    cdef Exchange exchange
    cdef Reader after
    cdef long long body
    cdef Py_ssize_t wanted
    cdef int phase, preface
    cdef public bint late, lost_track
    cdef object leave_call(self, Exchange exchange)
    cpdef object part(self)
    cdef object read(self, Py_ssize_t start, Py_ssize_t stop)
    cdef object miss(self, long long size, bint cut)
    cdef object finish(self, int how)
    cpdef bint at_start(self)
    cpdef bint searches(self)
    cpdef object wait(self)
    cpdef object begin_anywhere(self)
    cpdef object go_on(self)
    cpdef object start_over(self)
    cpdef object let_go(self)
    cpdef object expect_late_request(self)
    cpdef Py_ssize_t step(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef Py_ssize_t message(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef Py_ssize_t head(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef Py_ssize_t take_from(self, bytes begun, Py_ssize_t searched, Py_ssize_t limit, Py_ssize_t origin)
    cpdef object take_head(self, bytes head)
    cpdef Py_ssize_t collect(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef object take_preface(self, bytes message)
    cpdef Py_ssize_t line(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef object take_line(self, bytes line)
    cpdef Py_ssize_t pass_body(self, Py_ssize_t at, Py_ssize_t stop)
    cpdef Py_ssize_t unexpected(self, int kind, Py_ssize_t at, Py_ssize_t stop)
    cpdef object hold(self, Py_ssize_t at, Py_ssize_t stop, long long offset)
    cpdef object resume(self)
    cpdef object leave(self)
    cpdef object resume_unrequested(self)
