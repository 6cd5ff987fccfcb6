"""Worked examples of the reference: sent as they are written, their answers compared field by field."""

import itertools
import json
import re
import urllib.parse
from dataclasses import dataclass, field

from harness.accounts import admin, new_key
from harness.cloud import Cloud
from harness.signing import RawHttp

# The zone of most examples.
ZONE = "ap-guangzhou-2"

# Values that cannot come out again, but whose form has to.
_FORMS = (
    re.compile(r"\d{4}-\d\d-\d\d"),
    re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"),
)
# The pages shorten ids, or mask them with `x`.
_ID = re.compile(r"([a-z]{2,5})-[0-9a-z]{6,9}")


@dataclass(frozen=True)
class Example:
    """One example: its input as JSON or as a query, and its output.

    `free` has the fields of the output that the input does not determine or contradicts, each with the reason.
    """

    action: str
    given: str
    answer: str = "{}"
    region: str = "ap-guangzhou"
    free: dict = field(default_factory=dict)

    def parameters(self, ids):
        """The parameters as a tree, with real ids in place of the page's."""
        text = replaced(self.given, ids)
        return json.loads(text) if text.startswith("{") else tree(urllib.parse.parse_qsl(text))

    def documented(self, ids):
        """The output, with real ids in place of the page's."""
        return json.loads(replaced(self.answer, ids))

    def is_json(self):
        """Whether the page writes the input as JSON."""
        return self.given.startswith("{")


def replaced(text, ids):
    """The text with real ids."""
    for documented, real in ids.items():
        text = text.replace(documented, real)
    return text


_numbers = itertools.count(1)


def new_account(server):
    """The number of a new account."""
    return str(admin(server, "account", "add", f"example-{next(_numbers)}")["uin"])


class Tenant:
    """An account that has nothing else, so that what an example lists is exactly what precedes it."""

    def __init__(self, server):
        self.server, self.account = server, new_account(server)
        secret = new_key(server, "--account", self.account)
        self.cloud, self.raw = Cloud(server, secret=secret), RawHttp(server)
        self.raw.key = secret

    def machine(self, *options):
        """An instance of the account in the examples' zone."""
        wanted = ("--zone", ZONE, "--account", self.account, *options)
        return admin(self.server, "instance", "add", *wanted)["instance_id"]

    def disk(self, size_gib=10, **parameters):
        """A disk in the examples' zone."""
        return self.cloud.create_disk(size_gib, **({"Placement": {"Zone": ZONE}} | parameters))

    def attached(self, instance=None, **parameters):
        """The same, attached."""
        disk = self.disk(**parameters)
        self.cloud.attach(instance or self.machine(), disk)
        return disk

    def check_disk(self, disk, **expected):
        """The disk has these values."""
        found = self.cloud.disk(disk)
        assert {name: found[name] for name in expected} == expected


# Encodings


def tree(pairs):
    """Dotted names as the structure that they stand for."""
    root = {}
    for name, value in pairs:
        *parents, last = name.split(".")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return _lists(root)


def _lists(node):
    if not isinstance(node, dict):
        return node
    if node and all(name.isdigit() for name in node):
        return [_lists(node[str(index)]) for index in range(len(node))]
    return {name: _lists(value) for name, value in node.items()}


def pairs(value, name=""):
    """A structure as dotted names."""
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    else:
        return [(name, value)]
    return [pair for key, member in members for pair in pairs(member, f"{name}.{key}" if name else str(key))]


ENCODINGS = ("as on the page", "in the other encoding")


def send(raw, example, ids, written):
    """Sends the example as its page writes it or in the other encoding; returns the answer, which is no error."""
    missing = [documented for documented in ids if documented not in example.given + example.answer]
    assert not missing, f"the example does not speak of {missing}"
    wanted = example.parameters(ids)
    if written != ENCODINGS[0]:
        encoding = "form" if example.is_json() else "json"
    else:
        encoding = "json" if example.is_json() else "query"
    if encoding == "json":
        answer = raw.tc3(example.action, json.dumps(wanted).encode(), region=example.region)
    elif encoding == "form":
        answer = raw.v1_post(example.action, dict(pairs(wanted)), Region=example.region)
    else:
        answer = raw.v1_get(example.action, dict(pairs(wanted)), Region=example.region, digest="HmacSHA1")
    assert "Error" not in answer, answer["Error"]
    return answer


def check_answer(example, ids, answer):
    """Every field of the documented output is there, with its type and, unless it is free, its value."""
    documented = example.documented(ids)
    wrong = list(differences(documented, answer, example.free, known=set(ids.values())))
    assert not wrong, "\n".join(wrong)
    assert set(answer) == {*documented, "RequestId"}


# The documented output


def kind(value):
    """The JSON type of a value; integers and fractions are one to JSON, but not to strict clients."""
    return type(value).__name__


def differences(documented, answered, free=None, where="Response", known=()):
    """Where an answer differs from the documented output.

    Without `free` only names and types count, and every entry of a list has to be like the first one documented.
    With it, values count too, except those of the fields that are free: of such a field only the type is compared,
    if both are not null; of a time the form; of an id that is not one of `known` prefix and length.
    """
    is_free = free is None or where.rsplit(".", 1)[-1].split("[")[0] in free
    if documented is None and is_free or answered is None and free is not None and is_free:
        return
    if kind(documented) != kind(answered):
        yield f"{where} is {answered!r}, documented as {documented!r}"
    elif isinstance(documented, dict):
        for name, value in documented.items():
            if name in answered:
                yield from differences(value, answered[name], free, f"{where}.{name}", known)
            else:
                yield f"{where}.{name} is missing"
    elif free is None and isinstance(documented, list):
        for index, value in enumerate(answered if documented else []):
            yield from differences(documented[0], value, free, f"{where}[{index}]", known)
    elif is_free:
        return
    elif isinstance(documented, list):
        if len(documented) != len(answered):
            yield f"{where} has {len(answered)} entries, documented with {len(documented)}"
        for index, (value, found) in enumerate(zip(documented, answered)):  # noqa: B905 - told above
            yield from differences(value, found, free, f"{where}[{index}]", known)
    elif documented != answered and not (isinstance(documented, str) and _same_form(documented, answered, known)):
        yield f"{where} is {answered!r}, documented as {documented!r}"


def _same_form(documented, answered, known):
    """Whether both are times written alike, or ids of the same kind."""
    if any(form.fullmatch(documented) and form.fullmatch(answered) for form in _FORMS):
        return True
    one, other = _ID.fullmatch(documented), re.fullmatch(r"([a-z]{2,5})-[0-9a-z]{8}", answered)
    return bool(one and other and one[1] == other[1] and documented not in known)
