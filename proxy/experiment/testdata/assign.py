"""Prints the values of TestAssignmentsOutliveVersions, made by another language: python3 assign.py"""

import hashlib


def digest(*parts):
    d = hashlib.sha256()
    for part in parts:
        d.update(len(part).to_bytes(8, "big") + part)
    return d.digest()


def fraction(b):
    return (int.from_bytes(b, "big") >> 11) / 2**53


experiment, share = b"reranked-vs-lexical", 0.5
request = hashlib.sha256(b"shoes").digest()
for unit in b"alice", b"bob", b"carol", b"":
    kind = b"" if unit else b"request:"
    d = digest(experiment, b"assign", kind, unit or request)
    entered = fraction(d[:8]) < share
    variant = int(entered and fraction(d[8:16]) >= 0.5)
    seed = digest(experiment, b"draft", unit, request)[:8].hex()
    print(f'{{"{unit.decode()}", Assignment{{{str(entered).lower()}, {variant}, "{kind.decode()}{d[16:].hex()}"}}, 0x{seed}}},')
