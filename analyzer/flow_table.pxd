cimport cython

@cython.final
cdef class FlowTable:
    cdef int[::1] slots
    cdef unsigned long long[::1] keys
    cdef unsigned long long seed
    cdef readonly Py_ssize_t capacity, used
    cdef Py_ssize_t mask, occupied
    cdef list free
    cdef public unsigned long long low_high, low_low, high_high, high_low, rest
    cdef Py_ssize_t _slot_of(self)
    cpdef Py_ssize_t find(self)
    cpdef Py_ssize_t add(self)
    cpdef object remove(self, Py_ssize_t index)
    cdef object _take_key(self, Py_ssize_t index)
    cdef object _grow(self)
    cdef object _rehash(self, Py_ssize_t slots)

cdef unsigned long long LOW_32, SPREAD
