"""Is the close code true? A verdict for every Close frame: what the code says, held against what the packets show.

Each code has a function of its case (its connection) and the Close: `received` for codes about what the other side
sent, `keepalive` and `service` for codes about the sender itself, `private` for an application's own; `ordinary` and
`form` for Closes that say little, answer another one, or must not be sent at all.
"""
