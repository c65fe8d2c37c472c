#!/usr/bin/python3
"""Prints bucket.tsv: digests and buckets as POLICY "Shares" defines them, by the xxHash reference library alone.

Nothing here shares code with routing/bucket.cc, so that a mistake in one does not hide in the other.
Needs libxxhash.so.0 (Debian: libxxhash0). Usage: make_bucket_vectors.py > bucket.tsv
"""
import ctypes

lib = ctypes.CDLL("libxxhash.so.0")
lib.XXH3_64bits.restype = ctypes.c_uint64
lib.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
lib.XXH3_64bits_withSeed.restype = ctypes.c_uint64
lib.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]


def xxh3(data, seed=None):
    if seed is None:
        return lib.XXH3_64bits(data, len(data))
    return lib.XXH3_64bits_withSeed(data, len(data), seed)


VALUES = [
    b"a", b"acme", b"globex", b"initech", b"eu-4711", b"P-0001234", b"P-0001235", b"-1", b"18446744073709551615",
    "müller".encode(), b"\xff\xfe\x80", b"x" * 240, b"y" * 256, b"z" * 311, b"z" * 312, b"z" * 313, b"z" * 316,
    b"z" * 317, b"q" * 4096, b"with space", b"tab\there", b"zero\x00byte",
]
SALTS = [b"policy-inquiry", b"s", b"salt-2026"]

print("# kind\tvalue (hex)\tdigest\tsalt\tpurpose\tseed\tbucket; made by make_bucket_vectors.py")
for value in VALUES:
    for kind in (b"tenant", b"consumer", b"key"):
        digest = xxh3(kind + b"\x00" + value)
        for salt in SALTS if len(value) < 100 else SALTS[:1]:  # long values only try other paths of the hash
            for purpose in (b"canary", b"shadow"):
                seed = xxh3(salt + b"\x00" + purpose)
                bucket = xxh3(digest.to_bytes(8, "little"), seed) % 1_000_000
                row = (kind.decode(), value.hex(), f"{digest:016x}", salt.decode(), purpose.decode(), f"{seed:016x}", bucket)
                print(*row, sep="\t")
