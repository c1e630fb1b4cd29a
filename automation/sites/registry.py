"""The one list of social networks that ``post_social`` can publish on."""

from __future__ import annotations

from automation.sites.base import Site
from automation.sites.bluesky import Bluesky
from automation.sites.facebook import Facebook
from automation.sites.instagram import Instagram
from automation.sites.linkedin import LinkedIn
from automation.sites.tiktok import TikTok
from automation.sites.x import X
from automation.sites.youtube import YouTube

SITES: dict[str, Site] = {
    site.platform: site for site in (X(), LinkedIn(), Facebook(), Instagram(), TikTok(), YouTube(), Bluesky())
}
