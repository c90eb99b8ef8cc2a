cdef class Room:
    cdef readonly long long size, taken, given_way
    cdef readonly bint full
    cdef dict keepers
    cpdef object weigh(self, object keeper, long long cost, object give_way)
    cpdef object make_way(self)

cdef long long KEEPER
