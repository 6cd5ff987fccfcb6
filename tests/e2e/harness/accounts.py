"""Accounts, users and keys through the operator's commands, and the codes of a device."""

import base64
import hashlib
import hmac
import json
import struct

from harness.server import run_ashlar


def admin(server, *words, status=0):
    """Runs an administrative command with `--json`: its answer, or the line of a refusal."""
    done = run_ashlar(*words, "--data-dir", server.data_dir, "--json")
    assert done.returncode == status, (words, done.stdout, done.stderr)
    return json.loads(done.stdout) if status == 0 else done.stderr.strip()


def new_key(server, *words):
    """A new key as (SecretId, SecretKey)."""
    key = admin(server, "key", "add", *words)
    return key["secret_id"], key["secret_key"]


def attach_policy(server, directory, name, *statements, holder=("--user", "alice")):
    """Writes a policy of these statements to a file and attaches it under `name`."""
    file = directory / f"{name}.json"
    file.write_text(json.dumps({"version": "2.0", "statement": list(statements)}))
    return admin(server, "policy", "attach", *holder, "--file", file)


def statement(effect, action, resource="*", **condition):
    """One statement of a policy."""
    return {"effect": effect, "action": action, "resource": resource} | (
        {"condition": condition["condition"]} if condition else {}
    )


def totp(secret, at_s):
    """The six digits that a device with this base32 secret shows at this time (RFC 6238)."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(at_s) // 30), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"
