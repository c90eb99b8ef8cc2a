cimport cython
from analyzer.utf8 cimport after
from analyzer.records cimport Close, Connection, Frame, FramePayloadReader, Half, Message, Observer, Packet, Side
from analyzer.room cimport Room

@cython.final
cdef class MessageReader(FramePayloadReader):
    cdef Packet packet
    cdef Side side
    cdef bint unobserved, in_message, framing_known
    cdef object judge
    cdef long long number, last_key, last_step
    cdef int keys
    cdef Frame frame
    cdef Message message
    cdef Observer observer
    cdef bint observe_frames, observe_messages, keep_payloads
    cdef long long position, body, inflated_limit, compressed_limit
    cdef int kind
    cdef bint message_whole, reserved, checks_text, gathers
    cdef object inflater, strict, pulse
    cdef bytes start
    cdef long long beat_limit
    cdef object gathered
    cdef bint weighed
    cdef Room room
    cdef object _end_message(self)
    cdef bytes control
    cdef int text
    cdef bint control_whole, key_told, keeps_start, checks_window
    cdef object apply_mask
    cdef object _tell_fault(self, int state, Py_ssize_t start, Py_ssize_t stop)
    cdef bint _looks_odd(self) except? True
    cdef object _look_at_key(self, long long key)
    cdef object _begin_message(self)
    cdef object _keep_start(self, Py_ssize_t start, Py_ssize_t stop)
    cdef object _tell_pulse(self, long long size)
    cdef object _check_text(self, Py_ssize_t start, Py_ssize_t stop)
    cdef bytes _unmasked(self, Py_ssize_t start, Py_ssize_t stop)
    cdef bytes _unmasked_in_place(self, Py_ssize_t start, Py_ssize_t size)
    cdef object _complete_message(self)
    cdef object _abandon_message(self)
    cdef long long _inflate(self)
    cdef bint _reaches_too_far(self, bytes data) except? True
    cdef object _lose_context(self)
    cdef object _count_declared(self)
    cdef object _complete_close(self)
    cdef object _complete_ping(self)
    cdef object _complete_pong(self)

cdef long long LOW_32, MISSING, NO_TIME
cdef unsigned long long CONTROL_MOST
cdef Py_ssize_t SMALL_MESSAGE, FEW_PINGS, PING_COST
cdef object _note_round_trip(Side side, long long time)
cdef bint _is_usual(Close close) except? True
cdef bint _may_be_about_peer(Close close) except? True
cdef int CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG, IGNORED, DATA, WHOLE_TEXT, WHOLE_BINARY
