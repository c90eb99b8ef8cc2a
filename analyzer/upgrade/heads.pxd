# C types of heads.py; what each field means stands there.

cimport cython

cdef dict FIELD_NAMES
cdef set CHANGING
cdef bytes USUAL_END
cdef tuple UNUSED, BEGINNINGS
cdef Py_ssize_t LINE_LIMIT, LINES_KEPT, METHOD_LIMIT
cdef int LINE_FEED, RETURN

cpdef int look(bytes text)
cpdef int line_kind(bytes text)
cpdef Py_ssize_t head_end(bytes text, Py_ssize_t start)
cpdef bytes first_line(bytes head)
cpdef int status_of(bytes line)

@cython.final
cdef class Form:
    cdef tuple names
    cdef list lines, pieces, sizes, slots, found
    cdef set varying

cdef class FieldLines:
    cdef dict lines
    cdef list forms
    cpdef list fields(self, bytes head)
    cdef object filled(self, Form form, bytes head, Py_ssize_t start)
    cdef list read(self, bytes text)
    cdef object remember(self, object lines, object known)
    cdef object known(self, bytes line)
    cdef object field(self, bytes line)
