# C types of packed.py; what each field means stands there.

cdef Py_ssize_t ROWS, HALF, NOT_PACKED
cdef long long MISSING, MOST, FAR, HALF_RANGE, SIGN, BYTE

cdef class Packed:
    cdef readonly Py_ssize_t width, count
    cdef object numbers
    cdef long long[::1] room
    cdef bytearray packed, sizes
    cdef object lowest, places
    cdef long long[::1] lows, begins
    cdef unsigned char[::1] bytes, one_column
    cdef Py_ssize_t size
    cdef Py_ssize_t next_row(self) except -1
    cpdef object append(self, object values)
    cdef object pack(self)
    cdef long long bounds(self, Py_ssize_t column) except? -1
    cdef object put(self, Py_ssize_t column, Py_ssize_t size, long long low)
    cpdef long long get(self, Py_ssize_t row, Py_ssize_t column) except? -1
    cdef long long number(self, Py_ssize_t place, Py_ssize_t size, Py_ssize_t row) except? -1
    cdef long long bytes_at(self, Py_ssize_t at, Py_ssize_t size) except? -1
    cpdef list row(self, Py_ssize_t row, Py_ssize_t columns)
    cpdef object gather(self, Py_ssize_t column, long long[::1] rows)

cpdef object picked(long long[::1] numbers, Py_ssize_t offset, Py_ssize_t width, long long[::1] rows)
