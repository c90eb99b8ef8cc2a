"""Fuzzes the frame and message readers: see targets.frames."""

from driving import fuzz

if __name__ == "__main__":
    import targets

    fuzz(targets.frames)
