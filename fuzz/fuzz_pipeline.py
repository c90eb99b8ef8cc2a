"""Fuzzes the whole pipeline: see targets.pipeline."""

from driving import fuzz

if __name__ == "__main__":
    import targets

    fuzz(targets.pipeline)
