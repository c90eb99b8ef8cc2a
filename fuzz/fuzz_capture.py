"""Fuzzes the capture reader: see targets.capture."""

from driving import fuzz

if __name__ == "__main__":
    import targets

    fuzz(targets.capture)
