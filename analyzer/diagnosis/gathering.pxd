# C types of gathering.py; what each field means stands there.

from analyzer.records cimport Close, Connection, Flow
from analyzer.outcome cimport Outcome

cdef class Gathered:
    cdef readonly Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef readonly object numbers, services, hosts, texts, closes
    cdef readonly dict details
    cpdef object take(self, Outcome outcome)

cdef long long code_of(Close close)
cdef bint _says_more(Close close)
cdef int CLEAN
cdef long long PRIVATE, NO_CLOSE, MISSING, NO_TIME
cdef Py_ssize_t WIDTH, FIRST_ROWS
