"""The diagnosis: why each connection ended, from the facts of all of them. Facts in, conclusions out.

Every finished connection is taken as it ends (gathering); when all are there, what needs many of them is found over
arrays (timers, events), and each connection gets the first cause that fits. Ordinary ends take no function call each.
"""

from __future__ import annotations

from analyzer.diagnosis.conclusions import Conclusions, conclude
from analyzer.diagnosis.finding import AGENTS, BASES, CAUSES, CLOCK_NAMES
from analyzer.diagnosis.gathering import Gathered

__all__ = ["AGENTS", "BASES", "CAUSES", "CLOCK_NAMES", "Conclusions", "Gathered", "conclude"]
