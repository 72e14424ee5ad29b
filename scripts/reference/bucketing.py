#!/usr/bin/env python3
"""Writes and checks bucketing vectors with an implementation that shares nothing with ours.

The reference is the `mmh3` package from PyPI (a wrapper of Austin Appleby's C++ code):

    pip install mmh3
    scripts/reference/bucketing.py            # checks tests/vectors/bucketing.json
    scripts/reference/bucketing.py SALT UNIT  # prints the hash and bucket of one unit
"""

import json
import pathlib
import sys

import mmh3


def murmur(salt: str, unit: str) -> int:
    return mmh3.hash(f"{salt}:{unit}", 0, signed=False)


def main() -> None:
    if len(sys.argv) == 3:
        value = murmur(sys.argv[1], sys.argv[2])
        print(value, value % 10_000)
        return
    path = pathlib.Path(__file__).parents[2] / "tests" / "vectors" / "bucketing.json"
    cases = json.loads(path.read_text())["cases"]
    wrong = [
        case
        for case in cases
        if murmur(case["salt"], case["unit"]) != case["murmur3_x86_32"]
        or case["murmur3_x86_32"] % 10_000 != case["bucket"]
    ]
    print(f"{len(cases)} cases, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
