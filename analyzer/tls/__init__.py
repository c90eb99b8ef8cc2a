"""TLS (RFC 8446, RFC 5246): opens the records of a flow with secrets from a key log, and gives their plain bytes."""
