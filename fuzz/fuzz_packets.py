"""Fuzzes the packet decoder: see targets.packets."""

from driving import fuzz

if __name__ == "__main__":
    import targets

    fuzz(targets.packets)
