"""What a catalogue has to say of the objects of a batch of windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker_plugin.records.match import CatalogueMatch
from broker_plugin.records.window import Window

if TYPE_CHECKING:  # pyarrow is imported where a catalogue is opened
    from broker_plugin.catalogue.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class KnownStars:
    """A catalogue and how it is used.

    Attributes
    ----------
    catalogue : Catalogue
    radius_arcsec : float
    use_periods : bool
        Whether a known period takes the place of the search.
    """

    catalogue: Catalogue
    radius_arcsec: float
    use_periods: bool = True

    def match(self, windows: Sequence[Window]) -> list[CatalogueMatch | None]:
        """Return the nearest star to each window's position, None where there is none."""
        return self.catalogue.match(
            [window.ra for window in windows], [window.dec for window in windows], self.radius_arcsec
        )

    def period_of(self, match: CatalogueMatch | None) -> float | None:
        """Return the period to fold with; of two stars within the radius it is not known whose it is."""
        if match is None or match.ambiguous or not self.use_periods:
            return None
        return match.period_days
