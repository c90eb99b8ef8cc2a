# C types of the records that the stages share; what each field means stands in records.py.
# With many connections a packet's time goes into fetching its records: what every packet touches stands together.

cdef long long WRAP, HALF_WRAP

cdef class Packet:
    cdef public const unsigned char[::1] data
    cdef public Py_ssize_t start, stop
    cdef public long long wire_length, time, number
    cdef public int file, point, link_type

cdef class Segment:
    cdef public int version
    cdef public unsigned long long source_high, source_low, destination_high, destination_low
    cdef public int source_port, destination_port
    cdef public unsigned int sequence, acknowledgment
    cdef public int window, flags, time_to_live
    cdef public Py_ssize_t start, stop
    cdef public long long length
    cdef public bint continues

cdef class PacketReader:
    cpdef object packet(self)

cdef class SegmentReader:
    cpdef object segment(self)

cdef class Reader:
    cpdef object data(self, Py_ssize_t start, Py_ssize_t stop)
    cpdef object gap(self, long long size, bint cut)
    cpdef object end(self, int how)

cdef class Source:
    cdef public Reader reader
    cdef public long long skip, offset
    cdef public bint finished, was_reset
    cpdef long long transport_offset(self, long long offset)

cdef class Half(Source):
    cdef public Half peer
    cdef public Flow flow
    cdef public unsigned int next, acknowledgment
    cdef public bint known, acknowledges
    cdef public long long packets, captured_bytes, fin_offset, last_time, shut_packet
    cdef public object held
    cdef public int time_to_live
    cdef public bint syn, silent
    cdef public unsigned int origin, initial, silent_sequence
    cdef public long long duplicate_bytes, conflicting_bytes, lost_bytes, cut_bytes
    cdef public long long skipped_bytes, after_end_bytes, retransmissions
    cdef public long long fin_time, reset_time
    cdef public long long hole_packet, hole_time
    cdef public long long reset_packet, reset_silent, shut_since
    cdef public int reset_time_to_live
    cdef public unsigned int again_sequence
    cdef public long long again_count, again_first, again_time, again_packet
    cdef public long long probes, probe_first, probe_time, probe_packet, probes_after
    cdef public unsigned int behind
    cdef public long long behind_packet
    cdef public int behind_file
    cpdef unsigned int acknowledged_in(self, Packet packet)
    cpdef long long place_of(self, unsigned int sequence)

cdef class Moment:
    cdef public long long time, number
    cdef public int file
    cdef public bint acknowledges, late, peer_finished, peer_reset
    cdef public unsigned int acknowledgment, behind
    cpdef object recall(self, Packet packet, Half half, bint with_packet)

cdef class Flow:
    cdef public Half low, high
    cdef public long long packets, last_time, last_packet
    cdef public int last_file, holes
    cdef public bint ended, begun, complete
    cdef public int version, point, low_port, high_port
    cdef public unsigned long long low_high, low_low, high_high, high_low
    cdef public Half opener
    cdef public long long start, first_packet, watched_until
    cdef public int first_file
    cdef public int end_how
    cdef public Half end_by
    cdef public long long end_time
    cdef public object opening
    cdef public Py_ssize_t index
    cdef public list connections
    cdef public long long silence, silence_end, survived
    cdef public dict layer_bytes
    cdef public Tls tls
    cpdef long long missing_bytes(self)

cdef class Tls:
    cdef public str sni, alpn, version
    cdef public bint decrypted
    cdef public list alerts
    cdef public Connection failed
    cdef public object awaits
    cdef public str inferred_initiator
    cdef public long long inferred_reason_length, inferred_ping_period

cdef class Close:
    cdef public Side sender
    cdef public long long code
    cdef public bytes reason
    cdef public long long time, packet, begin, end, size, acknowledged
    cdef public int file
    cdef public bint cut, after_peer_fin, after_peer_reset
    cdef public object heard

cdef class Side:
    cdef public bint is_client, broken, deflate, may_hide_close, uncertain, context_lost
    cdef public long long frames, wire_bytes, frame_bytes, last_frame, messages, bytes, largest
    cdef public list closes
    cdef public long long closes_seen
    cdef public Connection connection
    cdef public Side peer
    cdef public Source source
    cdef public Half half
    cdef public bint exact, takeover
    cdef public int window_bits
    cdef public object judge
    cdef public long long pings, unanswered_pings, unread_bytes, over_limit_bytes, resyncs, weak_resyncs
    cdef public long long round_trips_seen, round_trips_apart, longest_round_trip
    cdef public list outstanding_pings, round_trips, breaches, ping_times
    cdef public tuple answered
    cdef public long long binaries
    cdef public bytes first
    cdef public Message message
    cdef public Frame frame
    cpdef bint has_bytes_to_come(self)

cdef class Connection:
    cdef public long long number
    cdef public Flow flow
    cdef public Side client, server
    cdef public str client_basis, opening, http, host, path, origin, user_agent, subprotocol, extensions
    cdef public str forwarded_for, offered_subprotocols, offered_extensions
    cdef public long long http_stream, http_status, violations
    cdef public object asked, pulse
    cdef public long long opened, recognised
    cdef public long long handshake_bytes_client, handshake_bytes_server
    cdef public bint ending_uncertain_client, ending_uncertain_server
    cdef public long long ending, ending_last_client, ending_last_server, ending_last_message, ending_ping_client, ending_ping_server
    cdef public str key, accept, upgrade
    cdef public int end_how
    cdef public Side end_by
    cdef public long long end_time
    cdef public bint ended
    cdef public tuple stream_ends
    cpdef object begin_ending(self, long long time)

cdef class Frame:
    cdef public Side sender
    cdef public bint fin, masked
    cdef public int rsv, opcode, header_size
    cdef public unsigned int masking_key
    cdef public long long begin, finish
    cdef public unsigned long long length
    cdef public long long captured, stream_offset, message, time, packet
    cdef public int file

cdef class FramePayloadReader:
    cpdef bint whole(self, int first, bint masked, unsigned int key, Py_ssize_t start, Py_ssize_t stop) except? True
    cpdef object begin(self)
    cpdef object payload(self, Py_ssize_t start, Py_ssize_t stop)
    cpdef object missing(self, long long size)
    cpdef object complete(self)
    cpdef object give_up(self)

cdef class Message:
    cdef public Side sender
    cdef public long long number, time, packet, end, frames, wire_bytes, bytes
    cdef public int file, opcode, valid
    cdef public bint compressed
    cdef public str fault
    cdef public bytes payload

cdef class Observer:
    cpdef object frame(self, Frame frame)
    cpdef object message(self, Message message)
    cpdef object close(self, Close close)
    cpdef object violation(self, object violation)
    cpdef object connection(self, Connection connection)
