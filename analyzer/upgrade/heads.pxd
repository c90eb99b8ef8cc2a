# C types of heads.py; what each field means stands there.

cdef dict FIELD_NAMES
cdef set CHANGING
cdef tuple UNUSED, BEGINNINGS
cdef Py_ssize_t LINE_LIMIT, LINES_KEPT, METHOD_LIMIT, LINES_ALIKE, LONG
cdef int LINE_FEED, RETURN

cpdef int look(bytes text)
cpdef int line_kind(bytes text)
cpdef Py_ssize_t head_end(bytes text, Py_ssize_t start)
cpdef bytes first_line(bytes head)
cpdef int status_of(bytes line)

cdef class FieldLines:
    cdef dict lines
    cdef bytes before
    cdef Py_ssize_t count, name
    cdef long long[::1] begins, names
    cdef int[::1] slots
    cdef list values
    cdef int slot
    cdef str value
    cpdef list fields(self, bytes head)
    cdef Py_ssize_t take(self, bytes head, Py_ssize_t start, Py_ssize_t line)
    cdef object look_up(self, bytes line)
    cdef object field(self, bytes line)
