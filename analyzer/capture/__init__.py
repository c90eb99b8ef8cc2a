"""The capture stage: from the bytes of capture files to packets in their order."""
