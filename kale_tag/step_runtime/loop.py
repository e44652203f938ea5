"""Cells that await share one event loop."""

import asyncio

LOOP = []


def run_loop(coroutine):
    if not LOOP:
        LOOP.append(asyncio.new_event_loop())
    asyncio.set_event_loop(LOOP[0])
    LOOP[0].run_until_complete(coroutine)
