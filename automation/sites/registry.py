"""The one list of social networks that ``post_social`` can publish on."""

from __future__ import annotations

from automation.sites.base import Site
from automation.sites.x import X

SITES: dict[str, Site] = {site.platform: site for site in (X(),)}
