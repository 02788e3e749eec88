"""Sessions are connected and hung up, a thousand by default, and leave nothing behind.

    python tests/soak/connects.py --calls 1000

A server of its own answers, in which garbage is not collected: whatever a session held is to be
freed by its end alone. Each session is that of a page of its own. Exits with 1 and the reason when
anything is left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.connects import judge, measure
from support.processes import read_line, running, until_served

if TYPE_CHECKING:
    from support.connects import Counts

PROGRAM: Final = Path(__file__).with_name("program.py")
WARM_UP: Final = 100


async def run(calls: int) -> Counts:
    """Runs a server and its clients; returns what the server holds more of behind them."""
    async with running(str(PROGRAM), "without-collections") as server:
        url = await read_line(server)
        await until_served(url)
        return await measure(url, calls, WARM_UP)


def main() -> None:
    """Makes the sessions, and prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    calls = parser.parse_args().calls
    grown = asyncio.run(run(calls))
    print(json.dumps(grown, indent=2))
    faults = judge(grown, calls)
    for fault in faults:
        print(f"FAULT {fault}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
