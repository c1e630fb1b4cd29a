"""The model server's files and batches, as ``herald batch`` needs them. Knows HTTP and nothing of the terminal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx

from app.client import ApiError

TIMEOUT_S = 120.0
ENDED = frozenset({"completed", "failed", "cancelled", "expired"})
Batch = dict[str, Any]


class BatchEndpoint:
    """One connection to ``/v1/files`` and ``/v1/batches``. All methods raise ApiError."""

    def __init__(self, origin: str, key: str) -> None:
        self._origin = origin
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=f"{origin}/v1", headers=headers, timeout=TIMEOUT_S, trust_env=False)

    def start(self, content: BinaryIO, endpoint: str, metadata: dict[str, str]) -> Batch:
        """Upload the input and begin. An input that is refused is not left behind."""
        files = {"file": ("batch.jsonl", content, "application/jsonl")}
        file_id = self._json("POST", "/files", data={"purpose": "batch"}, files=files)["id"]
        body = {
            "input_file_id": file_id,
            "endpoint": endpoint,
            "completion_window": "30d",
            "metadata": metadata,
        }
        try:
            return self._json("POST", "/batches", json=body)
        except ApiError:
            self.delete_file(file_id)
            raise

    def find(self, metadata: dict[str, str]) -> Batch | None:
        """The newest batch with this metadata that is under way, or has ended with results that nobody fetched."""
        after: dict[str, str] = {}
        while True:
            page = self._json("GET", "/batches", params={"limit": "100", **after})
            for batch in page["data"]:
                if batch["metadata"] == metadata and (batch["status"] not in ENDED or self._has_results(batch)):
                    return dict(batch)
            if not page["has_more"]:
                return None
            after = {"after": page["last_id"]}

    def _has_results(self, batch: Batch) -> bool:
        ids = [file_id for file_id in (batch["output_file_id"], batch["error_file_id"]) if file_id]
        return bool(ids) and all(self._exists(file_id) for file_id in ids)

    def _exists(self, file_id: str) -> bool:
        try:
            self._json("GET", f"/files/{file_id}")
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def batch(self, batch_id: str) -> Batch:
        """A batch as it stands."""
        return self._json("GET", f"/batches/{batch_id}")

    def cancel(self, batch_id: str) -> None:
        """Stop a batch. One that has just ended is left as it is."""
        try:
            self._json("POST", f"/batches/{batch_id}/cancel")
        except ApiError as error:
            if error.status != 409:
                raise

    def lines(self, file_id: str | None) -> Iterator[bytes]:
        """The lines of a result file, each with its end; none for None."""
        if file_id is None:
            return
        try:
            with self._http.stream("GET", f"/files/{file_id}/content") as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                rest = b""
                for piece in response.iter_bytes():
                    *whole, rest = (rest + piece).split(b"\n")
                    yield from (line + b"\n" for line in whole)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def delete_file(self, file_id: str | None) -> None:
        """Forget a file; one that is gone already is no error."""
        if file_id is not None:
            try:
                self._json("DELETE", f"/files/{file_id}")
            except ApiError as error:
                if error.status not in (404, 409):
                    raise

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise _refusal(response)
        return dict(response.json())

    def _unreachable(self, error: httpx.HTTPError) -> ApiError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            message = f"The model server is not running at {self._origin}."
            return ApiError("unreachable", message, "Start Herald with ./scripts/up")
        message = f"The connection to the model server at {self._origin} broke: {error or type(error).__name__}."
        return ApiError("unreachable", message, "Run the same command again; it goes on where it was.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._http.close()


def _refusal(response: httpx.Response) -> ApiError:
    try:
        error = response.json()["error"]
        return ApiError(str(error["code"]), str(error["message"]), status=response.status_code)
    except (ValueError, KeyError, TypeError):
        message = f"The model server answered {response.status_code} with something that is no error of ours."
        return ApiError("bad_response", message, "Is HERALD_INFERENCE_URL right?", status=response.status_code)


def digest(content: BinaryIO) -> str:
    """SHA-256 of a file from its beginning, to which it is set back."""
    found = hashlib.sha256()
    content.seek(0)
    while piece := content.read(1 << 20):
        found.update(piece)
    content.seek(0)
    return found.hexdigest()
