"""Gives out a file of the data home, in parts when a browser asks for a range, with its refusals in the API's shape."""

from __future__ import annotations

from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from app.error_responses import error_response
from app.errors import AppError, InvalidRange, RangeNotSatisfiable


class StoredFile(FileResponse):
    """Starlette answers a range that it cannot serve in plain text; here it is an error like any other."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, the asked parts of it, or the refusal."""
        refusals: list[Message] = []

        async def pass_on(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                refusals.append(message)
            elif not refusals:
                await send(message)

        await super().__call__(scope, receive, pass_on)
        if refusals:
            size_bytes = int(self.headers["content-length"])
            response = error_response(_refusal(refusals[0]["status"], size_bytes))
            if refusals[0]["status"] == 416:
                response.headers["Content-Range"] = f"bytes */{size_bytes}"  # Source: RFC 9110, 15.5.17
            await response(scope, receive, send)


def _refusal(status: int, size_bytes: int) -> AppError:
    hint = "Leave the Range header out for the whole file."
    if status == 416:
        return RangeNotSatisfiable(
            f"The range begins behind the end of the file, which has {size_bytes:,} bytes.", hint=hint
        )
    return InvalidRange("The Range header is not of the form bytes=FIRST-LAST with FIRST ≤ LAST.", hint=hint)
