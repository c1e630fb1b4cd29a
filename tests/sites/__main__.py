"""Run one test site by hand: ``python -m tests.sites social --port 9101``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import uvicorn
from starlette.applications import Starlette

from tests.sites import forms, networks, shop, social

SITES: dict[str, Callable[[], Starlette]] = {
    "social": social.create_app,
    "shop": shop.create_app,
    "forms": forms.create_app,
    **{name: partial(networks.create_app, name) for name in networks.NETWORKS},
}


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.sites", description=__doc__)
    parser.add_argument("site", choices=sorted(SITES))
    parser.add_argument("--port", type=int, default=9101)
    parser.add_argument("--host", default="127.0.0.1")
    args = parser.parse_args()
    uvicorn.run(SITES[args.site](), host=args.host, port=args.port, log_level="info", ws="none")


if __name__ == "__main__":
    main()
