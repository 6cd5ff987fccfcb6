"""The actions that exist, from `docs/coverage.md`, which a check of its own keeps true."""

import re

from harness.server import REPOSITORY

_PRODUCT = re.compile(r"## `(\w+)` (\d{4}-\d\d-\d\d)")
_ACTION = re.compile(r"\| (\w+) \| (?:yes|not in the description) \|")


def read():
    """The version of each product, and every action as (product, action)."""
    versions, actions, product = {}, set(), None
    for line in (REPOSITORY / "docs" / "coverage.md").read_text().splitlines():
        if heading := _PRODUCT.match(line):
            product = heading[1]
            versions[product] = heading[2]
        elif row := _ACTION.match(line):
            actions.add((product, row[1]))
    assert len(actions) > 50, "docs/coverage.md is not what `cargo xtask coverage` writes"
    return versions, actions


VERSIONS, ACTIONS = read()
