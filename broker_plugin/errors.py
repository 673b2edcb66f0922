"""Errors that stop a process, and the exit code of each.

A record that cannot be used is a *value* (it goes to the dead letters, see
:mod:`broker_plugin.records`); a process that cannot go on is an *exception*
from this module. Classes are named after their cure. Every message says what
was found, what was expected, where, and what to do.
"""

from __future__ import annotations

from typing import ClassVar


class BrokerPluginError(Exception):
    """Root of the errors that this package raises on purpose."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(BrokerPluginError):
    """The configuration is wrong: mend the named key, then start again."""

    exit_code = 2


class BundleError(BrokerPluginError):
    """A model bundle is damaged or foreign: install it again or choose another."""

    exit_code = 3


class BrokerUnreachableError(BrokerPluginError):
    """No Kafka broker answers at the address: start it or mend the address."""

    exit_code = 4


class TopicError(BrokerPluginError):
    """A topic is missing or has the wrong layout: run ``broker-plugin topics create``."""

    exit_code = 5


class StateMismatchError(BrokerPluginError):
    """Restored state does not stand at the group's committed offset: never run on it."""

    exit_code = 6


class InputError(BrokerPluginError):
    """A file or a directory named on the command line cannot be used."""

    exit_code = 7


class FencedError(BrokerPluginError):
    """Another instance took over: drop everything uncommitted, then rejoin or exit."""

    exit_code = 8


class AbortableTransactionError(BrokerPluginError):
    """The transaction failed but the producer lives: abort, seek back, try the batch again."""


class StepFailedError(BrokerPluginError):
    """A stage fails on record after record: mend the program or its surroundings, then start again."""

    exit_code = 11


class FatalBusError(BrokerPluginError):
    """The producer or consumer can never be used again: close it and start anew."""

    exit_code = 9


class AccessError(BrokerUnreachableError):
    """A broker does not let us in, or not do this: mend the named certificate, credentials or right."""

    exit_code = 10
