"""Prints a fresh sign-in link: ``python -m scripts.supervisor.signin_link``.

A process of its own: the supervisor stays small by not loading the product.
"""

from __future__ import annotations

import sys

from app.errors import AppError
from app.services import build_services
from app.settings import load_settings


def main() -> int:
    """Returns the exit status; the link goes to stdout, a reason why there is none to stderr."""
    try:
        services = build_services(load_settings())
        print(services.auth.create_signin_link())
        services.close()
    except AppError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
