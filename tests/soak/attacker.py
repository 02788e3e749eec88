"""Attacks a page until it is ended.

python tests/soak/attacker.py URL NAME
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.attacks import ATTACKS
from support.page import open_page


async def main(url: str, name: str) -> None:
    """Repeats the attack; what the server refuses is as good as what it takes."""
    async with open_page(url) as page:
        print("ready", flush=True)
        while True:
            try:
                async with asyncio.timeout(10.0):
                    await ATTACKS[name](page)
            except (OSError, TimeoutError, AssertionError, ConnectionError) as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    # The attacker's work is not what is measured.
    os.nice(10)
    asyncio.run(main(*sys.argv[1:]))
