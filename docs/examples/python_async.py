"""The hub from asyncio. Needs `pip install aihub`, AIHUB_URL and AIHUB_KEY."""

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

from aihub.client import AsyncAihubClient

PARCEL = Path(__file__).parent / "parcel.png"


async def alarms(hub: AsyncAihubClient, seconds: float) -> int:
    """How many steps of events came within this time."""
    count = 0
    try:
        async with asyncio.timeout(seconds), aclosing(hub.live()) as steps:
            async for step in steps:
                print(step.event.state, step.event.label)
                count += 1
    except TimeoutError:
        pass
    return count


async def main() -> None:
    async with AsyncAihubClient(os.environ["AIHUB_URL"], os.environ["AIHUB_KEY"], timeout=60) as hub:
        # Eight pictures at once over few connections; cancelling a task drops its work in the hub.
        calls = (hub.infer_columns("qr-and-barcode", PARCEL, ["texts"]) for _ in range(8))
        answers = await asyncio.gather(*calls)
        print(len(answers), "pictures, each with", answers[0][0]["texts"])

        # Lists are gone through page by page, events as they happen.
        print("streams:", [stream.id async for stream in hub.streams()])
        print("alarms within 2 s:", await alarms(hub, 2.0))


asyncio.run(main())
