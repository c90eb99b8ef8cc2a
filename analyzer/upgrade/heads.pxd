# C types of heads.py.

cdef dict FIELD_NAMES
cdef set CHANGING
cdef tuple UNUSED, BEGINNINGS
cdef Py_ssize_t LINE_LIMIT, LINES_KEPT, METHOD_LIMIT

cpdef int look(bytes text)
cpdef int line_kind(bytes text)
cpdef Py_ssize_t head_end(object text, Py_ssize_t start)
cpdef int status_of(bytes line)

cdef class FieldLines:
    cdef dict lines
    cpdef object fields(self, object lines)
    cpdef object field(self, bytes line)
