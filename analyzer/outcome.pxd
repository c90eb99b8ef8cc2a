from analyzer.records cimport Close, Connection, Flow, Half, Side, Tls

cdef class Outcome:
    cdef readonly Connection connection
    cdef readonly Flow flow
    cdef readonly Side client, server
    cdef readonly Close client_first_close, server_first_close
    cdef readonly bint tls_failed, ended, client_exact, server_exact, complete
    cdef readonly unsigned long long client_high, client_low, server_high, server_low
    cdef readonly int client_port, server_port, clean
    cdef readonly long long start, end, duration
    cdef readonly long long client_code, server_code, client_close, server_close, client_saw, server_saw
    cdef readonly str sni, alpn, tls_version, tls_alert, close_notify, inferred_initiator
    cdef readonly long long inferred_reason_length, inferred_ping_period
    cdef readonly str transport, client_reason, server_reason, close_initiator, transport_end, transport_end_by, outcome, resync_confidence
    cdef readonly long long close_latency, idle_before_end, client_idle, server_idle
    cdef readonly long long unanswered_pings, ping_rtt_median, ping_rtt_max, retransmissions, lost_bytes, resyncs
    cdef readonly long long client_ping_period, client_ping_jitter, server_ping_period, server_ping_jitter
    cdef readonly long long client_heartbeats, server_heartbeats, unanswered_heartbeats
    cdef readonly long long client_heartbeat_period, server_heartbeat_period, client_beat, server_beat

cpdef Outcome conclude(Connection connection)

cdef long long NO_TIME, MISSING
cdef int END_CAPTURE
cdef long long NO_STATUS, NO_TLS, ABNORMAL, WRAP, HALF_WRAP, PATIENCE, PATIENCE_MOST

cdef bint _not_captured(Side side)
cdef bint _acknowledges(Close later, Close earlier)
cdef bint _ending_uncertain(Connection connection)
cdef bint _may_hide_close(Side side)
cdef bint _may_hide_answer(Connection connection)
cdef bint _whole(Connection connection)
cdef bint _may_hide_end(Outcome outcome)
cdef bint _fin_not_captured(Half half)
cdef Close _first_close(Side side)
cdef bint _carries_code(Close close)
cdef long long _code(Close close)
cdef str _reason(Close close)
cdef long long _acknowledged(Half receiver, Half sender)
cdef bint _was_received(Close close, Close answer, Side receiver)
cdef long long _saw(Outcome outcome, Side receiver)
cdef long long _saw_code(Close close)
cdef bint _is_earlier(Close one, Close other)
cdef str _initiator(Outcome outcome)
cdef long long _latency(Outcome outcome)
cdef bint _ended(Connection connection, Flow flow)
cdef long long _end(Outcome outcome)
cdef long long _difference(long long later, long long earlier)
cdef long long _idle(Connection connection, Side side)
cdef long long _idle_before_end(Connection connection)
cdef str _word(Outcome outcome)
cdef int _clean(str word)
cdef bint _exact(Connection connection, Side side)
cdef object _place(Outcome outcome)
cdef object _secured(Outcome outcome)
cdef object _pings(Outcome outcome)
cdef object _heartbeats(Outcome outcome, object pulse)
cdef long long _unanswered(Side side, long long judged_until)
cdef object _repairs(Outcome outcome)
