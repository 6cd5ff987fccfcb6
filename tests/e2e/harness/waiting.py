"""Waiting for a condition with a deadline: the only place of the suite where time passes on purpose."""

import time

# Wide enough for two busy cores; a test that needs less still ends as soon as its condition holds.
DEADLINE_S = 60.0
POLL_S = 0.02


def wait_until(condition, what, deadline_s=DEADLINE_S, poll_s=POLL_S):
    """Returns the first true value of `condition()`; fails with `what` when the deadline has passed.

    The condition is asked once more after the deadline, so a stalled machine alone fails no test.
    """
    end = time.monotonic() + deadline_s
    while True:
        last_chance = time.monotonic() >= end
        value = condition()
        if value:
            return value
        if last_chance:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(poll_s)
