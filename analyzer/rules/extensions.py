"""Rules of negotiated extensions (RFC 6455 9.1, RFC 7692 7.1)."""

from __future__ import annotations

from analyzer.rules.catalog import MUST

DEFLATE = "permessage-deflate"
CLIENT_BITS, SERVER_BITS = "client_max_window_bits", "server_max_window_bits"
CLIENT_FRESH, SERVER_FRESH = "client_no_context_takeover", "server_no_context_takeover"
BITS = tuple(str(bits) for bits in range(8, 16))
Parameters = list[tuple[str, str | None]]
Finding = tuple[str, str, str, str]


def parsed(value: str | None) -> list[tuple[str, Parameters]]:
    """The extensions of a Sec-WebSocket-Extensions, in order, each with its parameters."""
    result = []
    for extension in (value or "").split(","):
        name, *parts = (part.strip() for part in extension.split(";"))
        if name:
            result.append((name.lower(), [_parameter(part) for part in parts]))
    return result


def _parameter(part: str) -> tuple[str, str | None]:
    name, equals, value = part.partition("=")
    return name.strip().lower(), value.strip().strip('"') if equals else None


def findings(agreed: str | None, offered: str | None) -> list[Finding]:
    """H7, D1 and D3: what is wrong with the extensions of an answer."""
    if agreed is None:
        return []
    offers, found = parsed(offered), []
    names = {name for name, _ in offers}
    answers = parsed(agreed)
    if not answers:
        return [("H7", MUST, "an extension in Sec-WebSocket-Extensions", agreed)]
    for name, parameters in answers:
        if name not in names:
            found.append(("H7", MUST, f"one of: {offered}" if offered else "no extension, as none was offered", agreed))
        elif name == DEFLATE:
            found += _form(parameters, agreed) or _fits(parameters, [p for n, p in offers if n == DEFLATE], agreed)
    if [name for name, _ in answers].count(DEFLATE) > 1:
        found.append(("D1", MUST, "permessage-deflate once", agreed))
    return found


def _form(parameters: Parameters, agreed: str) -> list[Finding]:
    """Parameters that no offer allows (RFC 7692 7.1)."""
    found: list[Finding] = []
    names = [name for name, _ in parameters]
    if len(set(names)) < len(names):
        found.append(("D1", MUST, "each parameter once", agreed))
    for name, value in parameters:
        if name in (CLIENT_BITS, SERVER_BITS):
            if value not in BITS:
                found.append(("D1", MUST, f"{name} from 8 to 15", agreed))
        elif name not in (CLIENT_FRESH, SERVER_FRESH):
            found.append(("D1", MUST, "parameters that are defined", agreed))
        elif value is not None:
            found.append(("D1", MUST, f"{name} without a value", agreed))
    return found


def _fits(parameters: Parameters, offers: list[Parameters], agreed: str) -> list[Finding]:
    """Nothing if the answer fits one of the offers, else what the first of them asks for."""
    answer = dict(parameters)
    faults = [_misfit(answer, dict(offer), agreed) for offer in offers]
    return [] if not all(faults) else faults[0]


def _misfit(answer: dict[str, str | None], offer: dict[str, str | None], agreed: str) -> list[Finding]:
    found: list[Finding] = []
    most = offer.get(SERVER_BITS)
    if CLIENT_BITS in answer and CLIENT_BITS not in offer:
        found.append(("D1", MUST, f"no {CLIENT_BITS}, as it was not offered", agreed))
    if SERVER_FRESH in offer and SERVER_FRESH not in answer:
        found.append(("D3", MUST, f"{SERVER_FRESH}, as it was offered", agreed))
    if SERVER_BITS in offer and SERVER_BITS not in answer:
        found.append(("D3", MUST, f"{SERVER_BITS}, as it was offered", agreed))
    elif most in BITS and int(answer[SERVER_BITS] or 0) > int(most or 0):
        found.append(("D1", MUST, f"{SERVER_BITS} of at most {most}", agreed))
    return found
