"""Holds what the stages saw against the rules of RFC 6455 and RFC 7692 that an observer can check."""
