from analyzer.records cimport Half, Moment, Packet, Reader, Source

cdef class Chains:
    cdef readonly int masked, masks, weight, frames, opcodes, text
    cdef public int enough
    cdef readonly bint borne_out
    cdef public Py_ssize_t begins
    cdef readonly long long captured
    cdef readonly bytearray content
    cdef bytearray kinds
    cdef list pieces, waiting
    cdef Py_ssize_t tried, needed
    cdef bint deflate, closed, fin, plain_text
    cdef int state, opcode, header
    cdef long long length
    cpdef long long add(self, const unsigned char[::1] data, Py_ssize_t start, Py_ssize_t stop, long long offset, Moment moment)
    cpdef long long missing(self, long long size, long long offset, bint cut)
    cpdef long long forget(self)
    cpdef long long cost(self)
    cpdef bint look(self, bint ended)
    cpdef int walk(self, Py_ssize_t place, bint ended)
    cpdef long long before(self)
    cpdef list rest(self)
    cpdef long long first_offset(self, long long default)
    cpdef object replay(self, tuple piece, Packet packet, Source source, Half half)
    cdef long long _make_room(self)
    cdef bint _try(self, Py_ssize_t place, bint ended)
    cdef bint _may_begin(self, Py_ssize_t place)
    cdef bint _believed(self, int trials)
    cdef bint _repeats(self, Py_ssize_t at, object seen)
    cdef int _header(self, Py_ssize_t at, Py_ssize_t size)
    cdef bint _follows(self, int length)
    cdef bint _measure(self, Py_ssize_t at, int length)
    cdef object _weigh(self, int own, int trials, Py_ssize_t at)
    cdef int _wait(self, Py_ssize_t place, Py_ssize_t needed, bint ended)
    cdef int _at_end(self, Py_ssize_t place, int trials, bint ended)
    cdef int _weigh_payload(self, Py_ssize_t start)
    cdef int _text_bits(self, Py_ssize_t seen)
    cdef Py_ssize_t _utf8(self, Py_ssize_t start, Py_ssize_t length, Py_ssize_t key, bint whole)
    cdef int _weigh_close(self, Py_ssize_t start, Py_ssize_t length)
    cdef Py_ssize_t _reason(self, Py_ssize_t start, Py_ssize_t length)

cdef int DEAD, WAITING, FOUND, PLAIN, BEGINNING, HOLE
cdef int HEADERS, ENOUGH, ENOUGH_AT_END, OWN, HEADER_BITS, FRAGMENT_BITS, EMPTY_BITS
cdef int FIRST_BEGINNING_BITS, BEGINNING_BITS, END_BITS, REGISTERED_BITS, PRIVATE_BITS, TEXT_MASKED_BITS, TEXT_BITS
cdef Py_ssize_t TEXT_LOOKED_AT, LIMIT, COMPARED, FRAMES_COMPARED, PIECE_COST, WAITING_COST

cdef int bits(Py_ssize_t number)
