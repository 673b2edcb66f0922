"""Schemas out of the package, a directory, a registry, and chains of them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import urllib.error
from email.message import Message

import pytest

from broker_plugin.decode import (
    BundledSchemas,
    Decoder,
    DirectorySchemas,
    RegistrySchemas,
    SchemaChain,
    SchemaMissing,
)
from broker_plugin.errors import ConfigurationError
from tests.decode import packets
from tests.shared import shared_path


def plain(schema: object) -> object:
    """Return a schema without fastavro's marks: JSON as a registry would give it."""
    return json.loads(json.dumps({k: v for k, v in schema.items() if not k.startswith("__")}))


def test_the_schema_package_itself_is_not_imported():
    """Its import is slow and pulls in libraries that are of no use here."""
    program = (
        "import sys; from broker_plugin.decode import BundledSchemas; BundledSchemas().schema(900); "
        "sys.exit('lsst.alert.packet' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_id_that_is_not_bundled():
    assert BundledSchemas().schema(1299) == SchemaMissing("lsst-alert-packet bundles no version 12.99")


def test_the_published_files_equal_the_bundled_ones():
    """A directory as the survey publishes it: one file a type."""
    published = DirectorySchemas(shared_path("alerts/lsst/schema_11_0")).schema(1100)
    assert plain(published) == plain(BundledSchemas().schema(1100))


@pytest.mark.parametrize("name", ["4200.avsc", "42/0/lsst.v42_0.alert.avsc"])
def test_a_directory_of_schemas(tmp_path, name):
    schema, record = packets.lsst_record(1100)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain(schema)))
    packet = packets.framed(schema, 4200, record)
    assert packets.only_alert(packet, Decoder(DirectorySchemas(tmp_path))).object_id == "12"
    assert Decoder().decode(packet)[0].reason == "unknown_schema"


def test_a_damaged_schema_file_is_a_mistake_to_mend(tmp_path):
    (tmp_path / "lsst.v42_0.alert.avsc").write_text("{")
    with pytest.raises(ConfigurationError, match=r"lsst\.v42_0\.alert\.avsc"):
        DirectorySchemas(tmp_path).schema(4200)
    (tmp_path / "4300.avsc").write_text("{")
    assert "4300.avsc cannot be read" in DirectorySchemas(tmp_path).schema(4300).detail
    with pytest.raises(ConfigurationError, match="not a directory"):
        DirectorySchemas(tmp_path / "absent")


def test_a_chain_asks_in_order_and_tells_of_all(tmp_path):
    schema = plain(BundledSchemas().schema(900))
    (tmp_path / "4200.avsc").write_text(json.dumps(schema))
    chain = SchemaChain([BundledSchemas(), DirectorySchemas(tmp_path)])
    assert chain.schema(4200) == schema
    missing = chain.schema(4300)
    assert "43.0" in missing.detail
    assert str(tmp_path) in missing.detail


class Registry:
    """A registry that answers from a table, and a clock that is set by hand."""

    def __init__(self, answers: dict[str, bytes | Exception]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, float]] = []
        self.now = 0.0

    def fetch(self, url: str, timeout_seconds: float) -> bytes:
        self.asked.append((url, timeout_seconds))
        answer = self.answers[url]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def schemas(self, **options: float) -> RegistrySchemas:
        return RegistrySchemas(
            "http://registry:8081/", fetch=self.fetch, clock=lambda: self.now, retry_seconds=60.0, **options
        )


URL = "http://registry:8081/schemas/ids/4200"
NOT_FOUND = urllib.error.HTTPError(URL, 404, "Not Found", Message(), io.BytesIO())


def test_a_registry_is_asked_once_per_id():
    schema, record = packets.lsst_record(1100)
    registry = Registry({URL: json.dumps({"schema": json.dumps(plain(schema))}).encode()})
    source = registry.schemas(timeout_seconds=2.0)
    packet = packets.framed(schema, 4200, record)
    for _ in range(2):
        packets.only_alert(packet, Decoder(source))
    assert registry.asked == [(URL, 2.0)]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (NOT_FOUND, "answered 404"),
        (TimeoutError("timed out"), "did not answer: timed out"),
        (ConnectionRefusedError(111, "refused"), "did not answer"),
        (b"<html>", "answered no schema"),
        (b"[]", "answered no schema"),
        (b'{"schema": "{"}', "answered no schema"),
        (b'{"schema": 1}', "answered no schema"),
        (b'{"schema": "{}", "references": [{"name": "x"}]}', "refers to other subjects"),
    ],
)
def test_a_failure_is_remembered_for_a_while(answer, said):
    registry = Registry({URL: answer})
    source = registry.schemas()
    for _ in range(3):
        assert said in source.schema(4200).detail
    assert len(registry.asked) == 1
    registry.now = 61.0
    registry.answers[URL] = b'{"schema": "\\"long\\""}'
    assert source.schema(4200) == "long"


def test_only_http_is_asked():
    with pytest.raises(ConfigurationError, match="file:///etc/passwd"):
        RegistrySchemas("file:///etc/passwd")
