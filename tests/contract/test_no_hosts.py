"""No file of the repository names a package registry: any mirror will do."""

import re

from support.repository import ROOT, tracked_files

# Spelled in parts, so that this file does not name them either.
HOSTS = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("crates", "io"),
            ("deb", "debian", "org"),
        )
    )
)
# What cargo itself writes into Cargo.lock for every crate, whatever mirror it came from.
CARGOS_OWN = re.compile(r'source = "registry\+https://github\.com/rust-lang/crates[.]io-index"')


def names_a_host(line: str) -> bool:
    return bool(HOSTS.search(line)) and not CARGOS_OWN.fullmatch(line)


def test_no_registry_is_named() -> None:
    found = []
    for file in tracked_files():
        content = (ROOT / file).read_bytes()
        if b"\0" in content:
            continue
        lines = content.decode("utf-8").splitlines()
        found += [f"{file}:{n}" for n, line in enumerate(lines, 1) if names_a_host(line)]
    assert found == []
