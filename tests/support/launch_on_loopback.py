"""Runs the program named first on the command line with media on 127.0.0.1 alone.

aioice leaves the loopback address out of its candidates, so without this a machine that has no
network could not run the tests, and one that has would send their media through it. The second
argument is Python source; the names it makes are the program's globals.
"""

import runpy
import sys
from pathlib import Path

import aioice.ice


def _loopback_only(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: ARG001, FBT001 - its own
    return ["127.0.0.1"] if use_ipv4 else []


if __name__ == "__main__":
    _, program, prelude = sys.argv
    aioice.ice.get_host_addresses = _loopback_only
    names: dict[str, object] = {}
    exec(prelude, names)  # noqa: S102 - the test's own source
    names.pop("__builtins__", None)
    sys.argv = [program]
    sys.path.insert(0, str(Path(program).parent))
    runpy.run_path(program, init_globals=names, run_name="__main__")
