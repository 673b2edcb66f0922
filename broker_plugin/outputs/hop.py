"""SCiMMA hop messages: a body in one of hop's formats, and the headers that hop-client writes and reads.

Written against hop-client 0.13 (``hop.io.Producer.pack``, ``hop.models``):

========================  =========================================================================
``_id``                   16 bytes of a UUID, by which the archive tells messages apart
``_sender``               the SCRAM user name
``_test``                 ``true`` on test traffic, else *absent*: its presence alone marks a test
``_format``               ``json`` or ``avro`` (an object container)
========================  =========================================================================

hop-client draws ``_id`` at random. Ours is a function of topic and annotation, so that a repeated delivery is
the same message to everybody who looks at it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from broker_plugin.outputs.avro import AvroFormat
from broker_plugin.outputs.plain_json import JsonFormat
from broker_plugin.outputs.publication import Headers, Publication, Translated

Content = Literal["json", "avro"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://scimma.org/hop/broker-plugin")


@dataclass(frozen=True, slots=True)
class HopFormat:
    """See the module.

    Attributes
    ----------
    topic : str
        Goes into the id: one annotation on two topics is two messages.
    content : {"json", "avro"}
    sender : str or None
        The user name; None leaves the header away, as hop does without authentication.
    test : bool
        Whether readers pass the messages over unless they ask for tests.
    """

    topic: str
    content: Content = "json"
    sender: str | None = None
    test: bool = False

    def translate(self, publication: Publication) -> Translated:
        """Return body and headers."""
        inner = JsonFormat() if self.content == "json" else AvroFormat("container")
        identity = uuid.uuid5(_NAMESPACE, f"{self.topic}/{publication.identity}")
        headers: Headers = (("_id", identity.bytes),)
        if self.sender is not None:
            headers += (("_sender", self.sender.encode()),)
        if self.test:
            headers += (("_test", b"true"),)
        headers += (("_format", self.content.encode()),)
        return Translated(inner.translate(publication).value, headers)
