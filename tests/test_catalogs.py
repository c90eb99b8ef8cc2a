"""Application catalogs: which one a handshake shows, what its codes mean."""

import runpy
import shutil
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import analyzer.catalogs
from analyzer.catalogs import CONDITIONS, REGISTRY, Catalog, CatalogCode, catalog_for, catalogs, files, read
from analyzer.closecodes import ADVICE, SENDERS, CloseCode
from analyzer.limits import FIRST_MESSAGE

HANDSHAKES = [(example, catalog.file) for catalog in catalogs() for example in read(catalog.file)["examples"]]

STRANGERS = [
    (None, None, None),
    ("", "", ""),
    (None, "example.org", "/"),
    ("graphql", "example.org", "/graphql"),
    ("GRAPHQL-WS", "example.org", "/"),  # subprotocols are compared as they are (RFC 6455 4.1)
    (None, "gateway.discord.gg.example.org", "/"),
    (None, "evil-eventsub.wss.twitch.tv", "/"),
    (None, "127.0.0.1:6463", "/"),
    (None, "example.org", "/?client_id=1"),
    (None, "example.org", "/app/key"),
    (None, "example.org", "/app/key?xprotocol=7"),
    (None, "example.org", "/v1/app/key?protocol=7"),
    (None, "example.org", "/connection/websocketing"),
    (None, "example.org", "/api/ws?sessionId=3f1c"),
    (None, "[::1", "/"),
    ("graphql-ws\n", "example.org\n", "/\n"),
]


class TestFiles:
    @pytest.mark.parametrize("file", files())
    def test_every_data_file_opens_as_a_resource_of_the_package(self, file):
        with resources.files("analyzer.catalogs").joinpath(file).open("rb") as stream:
            assert tomllib.load(stream) == read(file)

    def test_every_data_file_but_the_registry_is_a_catalog(self):
        assert REGISTRY in files()
        assert [catalog.file for catalog in catalogs()] == [file for file in files() if file != REGISTRY]

    def test_catalogs_have_names_of_their_own(self):
        assert len({catalog.name for catalog in catalogs()}) == len(catalogs())

    def test_a_new_file_is_a_new_catalog(self, tmp_path):
        source = Path(analyzer.catalogs.__file__).parent
        package = tmp_path / "analyzer"
        shutil.copytree(source, package / "catalogs", ignore=shutil.ignore_patterns("__pycache__"))
        (package / "__init__.py").touch()
        (package / "catalogs" / "new.toml").write_text(
            'name = "New"\nsource = "here"\ndetect = [{ host = "new.example" }]\n'
            'codes = [{ code = 4001, name = "Lunch", retry = "back off", meaning = "The service is out for lunch." }]\n'
        )
        script = "from analyzer import catalogs; print(catalogs.catalog_for(None, 'new.example:1', '').code(4001).name)"
        run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert run.stdout == "Lunch\n"


@pytest.mark.parametrize("catalog", catalogs(), ids=lambda catalog: catalog.file)
class TestContent:
    def test_a_catalog_names_its_source_and_can_be_detected(self, catalog):
        assert catalog.source
        assert catalog.detect
        assert all(any(rule) for rule in catalog.detect)
        assert read(catalog.file)["examples"]

    def test_its_codes_ascend_and_may_be_on_the_wire(self, catalog):
        numbers = [entry.code for entry in catalog.codes]
        assert numbers == sorted(set(numbers))
        assert all(CloseCode(number).on_wire for number in numbers)

    def test_its_ranges_ascend_and_do_not_overlap(self, catalog):
        bounds = [bound for rule in catalog.ranges for bound in (rule.first, rule.last)]
        assert bounds == sorted(bounds)
        assert all(0 <= bound <= 65535 for bound in bounds)

    def test_its_entries_use_the_closed_vocabularies(self, catalog):
        for entry in (*catalog.codes, *catalog.ranges):
            assert entry.name
            assert entry.meaning.endswith(".")
            assert entry.retry in ADVICE
            assert entry.sent_by in SENDERS
        assert all(entry.shows in ("", *CONDITIONS) for entry in catalog.codes)

    def test_its_heartbeats_are_those_of_its_examples_and_name_their_source(self, catalog):
        for heartbeat, entry in zip(catalog.heartbeats, read(catalog.file).get("heartbeats", ()), strict=True):
            assert heartbeat.sent_by in ("client", "server", "either")
            assert heartbeat.source
            for beat, *answers in entry["examples"]:
                assert heartbeat.beat.match(beat.encode("latin-1")[:FIRST_MESSAGE])
                assert not heartbeat.beat.match(b'{"data":"2 pings"}')
                assert len(answers) == (heartbeat.answer is not None)
                assert all(heartbeat.answer.match(answer.encode("latin-1")[:FIRST_MESSAGE]) for answer in answers)


class TestDetection:
    @pytest.mark.parametrize(("example", "file"), HANDSHAKES)
    def test_a_service_is_known_by_the_handshakes_that_its_file_gives(self, example, file):
        spoken = [example[side].encode() if side in example else None for side in ("client", "server")]
        found = catalog_for(example.get("subprotocol"), example.get("host"), example.get("path"), *spoken)
        assert isinstance(found, Catalog)
        assert found.file == file

    @pytest.mark.parametrize("host", ["GATEWAY.Discord.GG", "gateway.discord.gg.", "gateway.discord.gg:443"])
    def test_a_host_is_compared_without_case_port_and_final_dot(self, host):
        assert catalog_for(None, host, "/").file == "discord-gateway.toml"

    @pytest.mark.parametrize(("subprotocol", "host", "path"), STRANGERS)
    def test_a_stranger_has_no_catalog(self, subprotocol, host, path):
        assert catalog_for(subprotocol, host, path) is None

    def test_the_agreed_subprotocol_goes_before_host_and_path(self):
        assert catalog_for("graphql-ws", "gateway.discord.gg", "/connection/websocket").file.startswith("subscriptions")

    def test_the_host_goes_before_the_path(self):
        assert catalog_for(None, "gateway.discord.gg", "/connection/websocket").file == "discord-gateway.toml"

    def test_a_first_message_goes_before_the_path_and_after_the_host(self):
        hello = b'{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}'
        assert catalog_for(None, "example.org", "/connection/websocket", None, hello).file == "discord-gateway.toml"
        assert catalog_for(None, "eventsub.wss.twitch.tv", "/", None, hello).file == "twitch-eventsub.toml"
        assert catalog_for(None, "example.org", "/", hello, None) is None
        assert catalog_for(None, "example.org", "/", None, b'{"op":10}') is None

    def test_pushers_http_interface_is_no_websocket_of_it(self):
        for path in ("/apps/1/events?protocol=7", "/api/key?protocol=7", "/application/key?protocol=7"):
            assert catalog_for(None, "example.org", path) is None

    def test_a_long_hostile_path_takes_no_time_to_speak_of(self):
        assert catalog_for(None, "example.org", "/app/key?" + "&protocol" * 100_000) is None


class TestCodes:
    def code(self, file, code):
        return next(catalog for catalog in catalogs() if catalog.file == file).code(code)

    def test_the_same_number_means_what_the_service_says(self):
        meanings = {catalog.file: catalog.code(4001) for catalog in catalogs()}
        assert len({entry.name for entry in meanings.values() if entry and entry.code == 4001}) >= 8

    def test_a_code_has_name_meaning_and_retry(self):
        meaning = "An intent is not enabled or not approved for the application."
        expected = CatalogCode(4014, "Disallowed intent(s)", meaning, "no", "server")
        assert self.code("discord-gateway.toml", CloseCode(4014)) == expected

    def test_a_code_that_the_service_does_not_speak_of_has_no_entry(self):
        assert self.code("discord-gateway.toml", 4006) is None
        assert self.code("pusher.toml", 4300) is None

    @pytest.mark.parametrize("code", [4004, 4010, 4011, 4012, 4013, 4014])
    def test_discord_does_not_want_these_clients_back(self, code):
        assert self.code("discord-gateway.toml", code).retry == "no"

    @pytest.mark.parametrize(
        ("code", "retry"), [(4000, "no"), (4099, "no"), (4100, "back off"), (4199, "back off"), (4201, "at once")]
    )
    def test_pusher_tells_by_ranges_when_to_reconnect(self, code, retry):
        assert self.code("pusher.toml", code).retry == retry

    @pytest.mark.parametrize(
        ("code", "retry"),
        [
            (3000, "yes"),
            (3499, "yes"),
            (3500, "no"),
            (3999, "no"),
            (4000, "yes"),
            (4499, "yes"),
            (4500, "no"),
            (5000, "yes"),
        ],
    )
    def test_centrifugo_tells_by_ranges_what_is_terminal(self, code, retry):
        assert self.code("centrifugo.toml", code).retry == retry

    def test_an_entry_by_range_bears_the_code_that_was_asked_for(self):
        entry = self.code("pusher.toml", CloseCode(4242))
        assert entry.code == 4242
        assert entry.name == "Reconnect immediately"

    def test_a_code_s_own_entry_goes_before_its_range(self):
        assert self.code("centrifugo.toml", 3502).name == "stale"


def test_the_documentation_says_what_the_data_says():
    docs = Path(__file__).parent.parent / "docs"
    generate = runpy.run_path(str(docs / "make_tables.py"))["close_codes"]
    assert (docs / "close-codes.md").read_text("utf-8") == generate(), "run: python docs/make_tables.py"
