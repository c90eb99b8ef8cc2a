"""The flow table against a dict."""

import random

from analyzer.flow_table import FlowTable


def take(table, key):
    table.low_high, table.low_low, table.high_high, table.high_low, table.rest = key


def test_it_numbers_keys_like_a_dict_through_growth_and_removal():
    rng, table, truth = random.Random(1), FlowTable(12345), {}
    keys = [(0, rng.randrange(2**32), rng.randrange(2**64), 7, 1 + rng.randrange(2**48)) for _ in range(6000)]
    for _ in range(40_000):
        key = rng.choice(keys)
        take(table, key)
        assert table.find() == truth.get(key, -1)
        if key not in truth:
            truth[key] = table.add()
        elif rng.random() < 0.5:
            table.remove(truth.pop(key))
    assert len(set(truth.values())) == len(truth)
    assert table.used < len(keys), "numbers of removed keys are given again"


def test_keys_that_differ_in_one_field_only_are_told_apart():
    table = FlowTable(0)
    keys = [tuple(int(field == place) for field in range(5)) for place in range(4)]
    keys = [(*key[:4], 9) for key in keys] + [(0, 0, 0, 0, 9), (0, 0, 0, 0, 10)]
    for number, key in enumerate(keys):
        take(table, key)
        assert table.find() == -1 and table.add() == number
