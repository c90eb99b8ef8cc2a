# C types of gathering.py; what each field means stands there.

from analyzer.packed cimport Packed
from analyzer.records cimport Close, Connection, Flow, Side
from analyzer.outcome cimport Outcome

cdef class Texts:
    cdef readonly list values
    cdef dict numbers
    cpdef Py_ssize_t number(self, str text)

cdef class Gathered:
    cdef readonly Packed rows, closes
    cdef readonly object services, hosts
    cdef readonly Texts texts, words
    cdef readonly dict details
    cpdef object take(self, Outcome outcome)
    cdef object _facts(self, Outcome outcome, Py_ssize_t at)
    cdef object _columns(self, Outcome outcome, Py_ssize_t at)
    cdef object _words(self, Outcome outcome, Py_ssize_t at)

cdef long long code_of(Close close)
cdef bint _says_more(Close close)
cdef long long _message_idle(Outcome outcome)
cdef int CLEAN
cdef long long PRIVATE, NO_CLOSE, MISSING, NO_TIME
cdef Py_ssize_t WIDTH, CLOSE_WIDTH, COLUMNS_AT, WORDS_AT, TEXTS_COMPARED
cdef dict OPENINGS, OUTCOMES, SIDES
