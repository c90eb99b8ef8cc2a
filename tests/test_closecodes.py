"""Close codes: RFC 6455 7.4 and the IANA registry."""

import copy
import json
import pickle
import subprocess
import sys

import pytest

from analyzer.closecodes import ADVICE, RANGES, SENDERS, CloseCode, registry

NAMED = {
    "Empty": 0,
    "Normal": 1000,
    "Away": 1001,
    "Protocol": 1002,
    "Unsupported": 1003,
    "Status": 1005,
    "Abnormal": 1006,
    "Invalid": 1007,
    "Policy": 1008,
    "Size": 1009,
    "Extension": 1010,
    "Error": 1011,
    "Restart": 1012,
    "Again": 1013,
    "BadGateway": 1014,
    "Tls": 1015,
}


class TestNumber:
    @pytest.mark.parametrize(("attribute", "number"), NAMED.items())
    def test_every_named_code_is_a_close_code_with_its_number(self, attribute, number):
        code = getattr(CloseCode, attribute)
        assert type(code) is CloseCode
        assert code == number

    def test_the_named_codes_are_these_and_no_others(self):
        assert {name for name, value in vars(CloseCode).items() if isinstance(value, CloseCode)} == set(NAMED)

    @pytest.mark.parametrize("number", [0, 1, 999, 1000, 4999, 5000, 27243, 65535])
    def test_every_number_of_sixteen_bits_is_a_close_code(self, number):
        assert CloseCode(number) == number

    @pytest.mark.parametrize("number", [-1, 65536, 1 << 40])
    def test_a_number_that_no_close_frame_can_carry_is_refused(self, number):
        with pytest.raises(ValueError, match=str(number)):
            CloseCode(number)

    @pytest.mark.parametrize("value", ["1000", 1000.0, None])
    def test_what_is_no_integer_is_refused(self, value):
        with pytest.raises(TypeError):
            CloseCode(value)

    def test_it_equals_hashes_and_sorts_as_its_number(self):
        assert {1000: "found"}[CloseCode.Normal] == "found"
        assert hash(CloseCode(4711)) == hash(4711)
        assert sorted([CloseCode(1001), 1000]) == [1000, 1001]

    def test_it_prints_as_its_number(self):
        assert f"{CloseCode.Normal} {CloseCode.Normal:6d} {CloseCode.Normal!s}" == "1000   1000 1000"
        assert json.dumps([CloseCode.Normal]) == "[1000]"

    def test_its_repr_tells_number_name_and_range(self):
        assert repr(CloseCode.Normal) == "<CloseCode 1000: Normal Closure, protocol>"
        assert repr(CloseCode(4711)) == "<CloseCode 4711: Other, private>"

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_it_survives_pickling(self, protocol):
        again = pickle.loads(pickle.dumps(CloseCode(4711), protocol))
        assert type(again) is CloseCode
        assert again == 4711

    def test_it_survives_copying(self):
        assert type(copy.deepcopy(CloseCode.Away)) is CloseCode


class TestSection741:
    """Defined status codes."""

    def test_registered_texts_are_the_registry_s(self):
        names = {
            1000: "Normal Closure",
            1001: "Going Away",
            1002: "Protocol error",
            1003: "Unsupported Data",
            1004: "Reserved",
            1005: "No Status Rcvd",
            1006: "Abnormal Closure",
            1007: "Invalid frame payload data",
            1008: "Policy Violation",
            1009: "Message Too Big",
            1010: "Mandatory Ext.",
            1011: "Internal Error",
            1012: "Service Restart",
            1013: "Try Again Later",
            1014: "Bad Gateway",
            1015: "TLS handshake",
            3000: "Unauthorized",
            3003: "Forbidden",
            3008: "Timeout",
        }
        assert {number: CloseCode(number).name for number in names} == names
        assert set(names) <= set(registry())

    def test_the_registry_is_ascending_close_codes(self):
        assert registry() == sorted(registry())
        assert all(type(code) is CloseCode for code in registry())

    @pytest.mark.parametrize("number", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
    def test_codes_that_a_close_frame_may_carry(self, number):
        assert CloseCode(number).on_wire

    @pytest.mark.parametrize("number", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 27243, 65535])
    def test_codes_that_a_close_frame_must_not_carry(self, number):
        code = CloseCode(number)
        assert not code.on_wire
        assert code.sent_by == "nobody"
        assert not code.legal_from("client")
        assert not code.legal_from("server")

    def test_only_a_client_sends_1010(self):
        assert CloseCode.Extension.legal_from("client")
        assert not CloseCode.Extension.legal_from("server")

    @pytest.mark.parametrize("number", [1000, 1011, 1012, 1013, 1014, 3000, 4999])
    def test_every_other_code_is_legal_from_either_side(self, number):
        assert CloseCode(number).legal_from("client")
        assert CloseCode(number).legal_from("server")

    def test_advice_about_reconnecting_is_what_the_code_s_authors_ask(self):
        advice = {code: CloseCode(code).advice for code in range(1000, 1016)}
        assert {code: words for code, words in advice.items() if words != "unsaid"} == {
            1006: "random delay",
            1012: "random 5-30 s",
            1013: "other server",
        }


class TestSection742:
    """Reserved status code ranges."""

    @pytest.mark.parametrize(
        ("first", "last", "name"),
        [
            (0, 999, "unused"),
            (1000, 2999, "protocol"),
            (3000, 3999, "registered"),
            (4000, 4999, "private"),
            (5000, 65535, "outside"),
        ],
    )
    def test_a_range_reaches_from_its_first_to_its_last_number(self, first, last, name):
        assert CloseCode(first).range == CloseCode(last).range == name

    def test_the_vocabulary_of_ranges_is_complete_and_in_order(self):
        assert tuple(dict.fromkeys(CloseCode(number).range for number in range(65536))) == RANGES

    @pytest.mark.parametrize("number", [1, 2999, 3001, 4711, 65535])
    def test_a_number_without_registration_is_other_and_means_what_its_range_does(self, number):
        code = CloseCode(number)
        assert code.name == "Other"
        assert code.meaning == CloseCode({1: 2, 2999: 1500, 3001: 3999, 4711: 4000, 65535: 5000}[number]).meaning
        assert code.reference == "RFC 6455 7.4.2"

    def test_empty_is_no_code_but_has_a_name(self):
        assert CloseCode.Empty.name == "Empty"
        assert CloseCode.Empty.range == "unused"
        assert CloseCode.Empty not in registry()


class TestFacts:
    @pytest.mark.parametrize("number", [*registry(), 0, 1, 2000, 3999, 4999, 5000])
    def test_every_code_is_described_in_the_closed_vocabularies(self, number):
        code = CloseCode(number)
        assert code.meaning.endswith(".")
        assert code.reference
        assert code.note == "" or code.note.endswith(".")
        assert code.sent_by in SENDERS
        assert code.advice in ADVICE

    def test_importing_it_reads_no_data_and_loads_nothing_heavy(self):
        script = (
            "import sys, analyzer.closecodes\n"
            "heavy = {'pandas', 'tomllib', 'csv', 'dataclasses', 'importlib.resources', 'analyzer.catalogs'}\n"
            "before = set(sys.modules)\n"
            "print(sorted(heavy & (before - baseline)))"
        )
        run = subprocess.run(
            [sys.executable, "-c", f"import sys\nbaseline = set(sys.modules)\n{script}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == "[]"
