"""How clients came back: storms, tight loops, and whether they did what the close codes ask of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from analyzer.closecodes import ADVICE
from analyzer.outputs import words
from analyzer.outputs.escaping import visible
from analyzer.outputs.words import Line

SHORT = pd.Timedelta(seconds=1)
"""Reconnects of a storm come within this time, and so do the ends before them; a turn of a tight loop is shorter."""
STORM_FEWEST = 5
STORM_SHARE = 0.5
"""Of the connections that one moment ended, so many must come back within that time."""
CROWD = 4
"""So many times more than are usual in that time."""
LOOP_FEWEST = 4
"""Turns of a tight loop."""
MOST = 3
OWN_END = ("clean close", "client navigation")
"""Causes after which to come back is no reaction to them."""


ENDED = ("server_ip", "server_port", "start", "end", "cause", "cause_by")


def lines(connections: pd.DataFrame, reconnects: pd.DataFrame) -> Iterator[Line]:
    """What to know of the reconnects; none if there is nothing."""
    if reconnects.empty:
        return
    pairs = reconnects.join(connections[list(ENDED)], on="connection")
    following = connections[["client_ip", "start", "duration"]].add_prefix("next_")
    pairs = pairs.join(following, on="next_connection").sort_values("end", kind="stable")
    own = pairs["cause"].isin(OWN_END) | (pairs["cause_by"] == "client").fillna(False)
    found = [*_storms(pairs[~own]), *_loops(pairs[~own]), *_advice(pairs)]
    if found:
        yield []
        yield [("How clients came back", "bold")]
        yield from ([(f"  {text}", "")] for text in found)


def _storms(pairs: pd.DataFrame) -> Iterator[str]:
    """Many connections that one moment ended, and whose clients came back nearly at once."""
    found = []
    short = SHORT.to_timedelta64()
    for server, same in pairs.groupby(["server_ip", "server_port"], observed=True, sort=False):
        starts, ends, returns = (same[name].to_numpy("datetime64[ns]") for name in ("start", "end", "next_start"))
        usual = len(same) * (short / max(returns.max() - returns.min(), short))
        edges = np.flatnonzero(np.diff(ends) > short / 5) + 1
        for first, stop in pairwise((0, *edges.tolist(), len(same))):
            if stop - first < STORM_FEWEST:
                continue
            there = starts[first:stop] < ends[first]  # the others began when it was over
            ended, back = ends[first:stop][there], np.sort(returns[first:stop][there])
            if len(back) < STORM_FEWEST or ended[-1] - ended[0] > short:
                continue
            counts = np.searchsorted(back, back + short, side="right") - np.arange(len(back))
            most, at = int(counts.max()), int(counts.argmax())
            crowd = CROWD * usual if len(back) < len(same) else 0
            if most >= max(STORM_FEWEST, STORM_SHARE * len(back), crowd):
                found.append((most, server, len(back), ended[0], back[at : at + most]))
    for most, server, ends_there, end, storm in sorted(found, key=lambda each: -each[0])[:MOST]:
        after, within = (words.elapsed(pd.Timedelta(time)) for time in (storm[0] - end, storm[-1] - storm[0]))
        yield (
            f"a reconnect storm: {words.endpoint(*server)} ended {ends_there} connections at one moment; {most} of "
            f"their clients came back {after} later, within {within} of each other"
        )


def _loops(pairs: pd.DataFrame) -> Iterator[str]:
    """Clients whose next connection ended as soon as it had begun, again and again."""
    turn = ~pairs["ambiguous"] & (pairs["delay"] + pairs["next_duration"] < SHORT)
    followers: dict[Any, Any] = pairs[turn].set_index("connection")["next_connection"].to_dict()
    firsts = followers.keys() - set(followers.values())
    chains = []
    for first in sorted(firsts):
        chain = [first]
        while chain[-1] in followers:
            chain.append(followers[chain[-1]])
        if len(chain) > LOOP_FEWEST:
            chains.append(chain)
    by_number: Any = pairs.set_index("connection")
    for chain in sorted(chains, key=len, reverse=True)[:MOST]:
        turns = by_number.loc[chain[:-1]]
        head = turns.iloc[0]
        yield (
            f"a tight loop: {visible(str(head['next_client_ip']))} came back to "
            f"{words.endpoint(head['server_ip'], head['server_port'])} {len(turns)} times, at most "
            f"{words.elapsed(turns['delay'].max())} after each end (connections {chain[0]} to {chain[-1]})"
        )
    if len(chains) > MOST:
        yield f"and {len(chains) - MOST} more tight loops"


def _advice(pairs: pd.DataFrame) -> Iterator[str]:
    """Codes that ask something of the client, and how many did not do it."""
    judged: Any = pairs[pairs["followed"].notna()]
    for (code, advice), same in judged.groupby(["code", "advice"], observed=True):
        not_followed = int((~same["followed"].astype(bool)).sum())
        if not_followed:
            yield (
                f"{not_followed} of {words.counted(len(same), 'reconnect')} after {words.code(code)} did "
                f"not do what it asks: {ADVICE.get(str(advice), str(advice))}"
            )
