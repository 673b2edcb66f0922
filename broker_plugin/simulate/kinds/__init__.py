"""The kinds of star that the simulator knows, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from broker_plugin.simulate.kinds.base import NOVEL, Kind, Span, Variable
from broker_plugin.simulate.kinds.cepheid import Cepheid
from broker_plugin.simulate.kinds.delta_scuti import DeltaScuti
from broker_plugin.simulate.kinds.dipper import Dipper
from broker_plugin.simulate.kinds.eclipsing import Contact, Detached, SemiDetached
from broker_plugin.simulate.kinds.microlensing import Microlensing
from broker_plugin.simulate.kinds.mira import Mira
from broker_plugin.simulate.kinds.nova import Nova
from broker_plugin.simulate.kinds.r_coronae_borealis import RCoronaeBorealis
from broker_plugin.simulate.kinds.rotating import Rotating
from broker_plugin.simulate.kinds.rr_lyrae import RRab, RRc, RRd
from broker_plugin.simulate.kinds.semiregular import Semiregular
from broker_plugin.simulate.kinds.t_tauri import TTauri

_ALL: tuple[Kind, ...] = (
    Cepheid(),
    DeltaScuti(),
    Detached(),
    SemiDetached(),
    Contact(),
    Mira(),
    Rotating(),
    RRab(),
    RRc(),
    RRd(),
    Semiregular(),
    RCoronaeBorealis(),
    TTauri(),
    Nova(),
    Dipper(),
    Microlensing(),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})

__all__ = ["KINDS", "NOVEL", "Kind", "Span", "Variable"]
