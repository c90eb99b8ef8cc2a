"""The diagnosis: why each connection ended, from the facts of all of them. Facts in, conclusions out.

Every finished connection is taken as it ends (gathering); when all are there, what needs many of them is found over
arrays (timers, events), and each connection gets the first cause that fits (conclusions). A cause is a small function
of one Case; ordinary ends need none.
"""
