"""Packet bytes of ZTF and LSST -> :class:`Alert`, in whichever framing they come."""

from broker_plugin.decode.alert import Alert, Malformed, Rejected
from broker_plugin.decode.decoder import Decoder
from broker_plugin.decode.registry import RegistrySchemas
from broker_plugin.decode.schema_sources import (
    BundledSchemas,
    DirectorySchemas,
    SchemaChain,
    SchemaMissing,
    SchemaSource,
)

__all__ = [
    "Alert",
    "BundledSchemas",
    "Decoder",
    "DirectorySchemas",
    "Malformed",
    "RegistrySchemas",
    "Rejected",
    "SchemaChain",
    "SchemaMissing",
    "SchemaSource",
]
