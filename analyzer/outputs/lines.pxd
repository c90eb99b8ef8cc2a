# C types of lines.py; what each field means stands there.

cdef int TEXT, NUMBER, UNSIGNED, BOOLEAN, TIME, DURATION, SAME
cdef long long MISSING, SECOND
cdef Py_ssize_t NUMBER_MOST, FRACTION, FIRST_SIZE, TEXTS_KEPT
cdef int COMMA, LINE_FEED, MINUS, POINT, ZERO, ZULU

cdef class Field:
    cdef int kind
    cdef long long[::1] numbers
    cdef object make
    cdef dict texts
    cdef long long last
    cdef bytes last_text
    cpdef object take(self, long long[::1] numbers)
    cdef bint is_constant(self) except? True
    cdef bytes text(self, long long number)

cdef class Lines:
    cdef bytearray content
    cdef unsigned char[::1] buffer
    cdef Py_ssize_t at
    cdef long long second
    cdef bytes second_text
    cpdef str of(self, object fields, Py_ssize_t count)
    cdef list parts(self, object fields)
    cdef object same(self, list parts)
    cdef object line(self, list parts, Py_ssize_t row)
    cdef object cell(self, Field field, Py_ssize_t row)
    cdef object room(self, Py_ssize_t size)
    cdef object put(self, bytes text)
    cdef object signed(self, long long value)
    cdef object digits(self, long long value, int least)
    cdef object duration(self, long long value)
    cdef object time(self, long long value)
