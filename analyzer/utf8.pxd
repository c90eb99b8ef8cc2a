from analyzer.records cimport Packet

cdef int MASK, BLOCK

cpdef int after(int state, Packet packet, Py_ssize_t start, Py_ssize_t stop, unsigned int key, int turn) except -2
cdef Py_ssize_t _ascii_blocks(Packet packet, Py_ssize_t at, Py_ssize_t stop) noexcept
cdef int _step(int state, int byte) noexcept
