"""The virus scan, against a small clamd that speaks its protocol."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import InvalidInput, Unavailable
from app.memory.records import AssetStatus
from app.memory.scanner import VirusScanner
from app.services import build_services
from app.settings import Settings
from tests.app.fakes import FakeEmbedder

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class _Clamd(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert self.rfile.read(10) == b"zINSTREAM\0"
        content = b""
        while size := struct.unpack("!I", self.rfile.read(4))[0]:
            content += self.rfile.read(size)
        if content == b"too large":
            answer = b"INSTREAM size limit exceeded. ERROR\0"
        else:
            answer = b"stream: Eicar-Signature FOUND\0" if EICAR in content else b"stream: OK\0"
        self.wfile.write(answer)


@pytest.fixture
def clamd(tmp_path: Path) -> Iterator[str]:
    """The address of a running one."""
    path = str(tmp_path / "clamd.sock")
    with socketserver.ThreadingUnixStreamServer(path, _Clamd) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"unix:{path}"
        server.shutdown()
        thread.join()


def test_an_infected_file_is_refused(clamd: str) -> None:
    """Also when it is larger than one piece; the finding is named."""
    with pytest.raises(InvalidInput, match="Eicar-Signature") as refusal:
        VirusScanner(clamd).check(b"x" * 200_000 + EICAR, "a.txt")
    assert refusal.value.code == "document_infected"


@pytest.mark.parametrize("address", ["unix:/nowhere/clamd.sock", "127.0.0.1:9"])
def test_a_scan_that_cannot_be_had_lets_nothing_pass(address: str) -> None:
    """The file waits."""
    with pytest.raises(Unavailable, match="failed"):
        VirusScanner(address).check(b"text", "a.txt")


def test_a_scan_that_ends_in_an_error_lets_nothing_pass(clamd: str) -> None:
    """Such as a file over clamd's own limit."""
    with pytest.raises(Unavailable, match="size limit"):
        VirusScanner(clamd).check(b"too large", "a.txt")


def test_assets_are_scanned_before_they_are_read(clamd: str, tmp_path: Path) -> None:
    """A clean one goes in, an infected one fails with what was found."""
    settings = Settings(home=tmp_path / "home", clamd=clamd, _env_file=None)
    services = build_services(settings, embedder=FakeEmbedder(), wake=lambda _i: None, wake_ingestion=lambda _i: None)
    clean, _ = services.memory.upload("a.txt", b"We open at nine.", "t")
    infected, _ = services.memory.upload("b.txt", EICAR, "t")
    for asset in (clean, infected):
        services.ingestion.run(asset.id)
    assert services.memory.asset(clean.id).status == AssetStatus.INGESTED
    error = services.memory.asset(infected.id).error
    assert error is not None
    assert error.code == "document_infected"
    services.close()
