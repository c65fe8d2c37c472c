"""RFC 7541: header compression as the server reads it. Its own encoder is checked in every case (peer.py)."""

import wire as w
from suite import answered, connection_error, malformed
from suite import case as any_case

COMPRESSION = connection_error(w.COMPRESSION_ERROR)


def case(case_id, requirement, expect, act, **options):
    any_case("hpack-" + case_id, requirement, expect, act, rfc=7541, **options)


def with_field(encoded, before=b""):
    """A call whose header block has `encoded` after the well-formed fields, and `before` in front of them."""
    return lambda c: w.headers(1, before + c.block() + encoded) + c.body(1)


def broken(case_id, requirement, encoded, before=b""):
    case(case_id, requirement, COMPRESSION, with_field(encoded, before))


# ---- 2.3 tables

case("2.3.1/static-table", "Every field of the static table that may stand in a call is read.", answered(),
     with_field(b"".join(w.literal(index, "1") for index in range(15, 62)
                         if index not in (28, 31, 35, 38, 56, 57, 60))))
case("2.3.1/static-pseudo-fields", "Pseudo-header fields may be indexed in the static table.", answered(),
     lambda c: w.headers(1, w.indexed(3) + (w.indexed(6) if c.target.scheme == "http" else w.indexed(7)) +
                         w.literal(4, c.target.path) + w.literal(1, c.target.authority) +
                         w.block([("te", "trailers"), ("content-type", "application/grpc")])) + c.body(1))
broken("2.3.3/index-beyond-tables", "An index above both tables is a decoding error.", w.indexed(70))
broken("2.3.3/first-dynamic-of-none", "Index 62 of an empty dynamic table is a decoding error.", w.indexed(62))
broken("2.3.3/name-beyond-tables", "A name's index above both tables is a decoding error: with indexing.",
       w.literal(70, "x", w.INCREMENTAL))
broken("2.3.3/name-beyond-tables-not-indexed", "So it is without indexing.", w.literal(70, "x"))
broken("2.3.3/name-beyond-tables-never", "So it is where it must never be indexed.", w.literal(70, "x", w.NEVER_INDEXED))
broken("2.3.3/one-beyond-the-last", "Index 63 is a decoding error when the dynamic table has one entry.",
       w.literal("x-a", "1", w.INCREMENTAL) + w.indexed(63))

# ---- 4 the dynamic table


def second_call(first, second):
    """Two calls: the second block uses what the first left in the table."""
    def act(c):
        c.send(w.headers(1, c.block() + first), c.body(1), w.headers(3, c.block() + second), c.body(3))
    return act


def filled(count, size=1000):
    return b"".join(w.literal(f"x-{i:04d}", "v" * (size - 32 - 6), w.INCREMENTAL) for i in range(count))


case("4.1/dynamic-table", "An entry may be used in the same block and in later ones.", answered(3),
     second_call(w.literal("x-a", "1", w.INCREMENTAL) + w.indexed(62), w.indexed(62)))
case("4.1/duplicates", "Equal entries may stand in the table.", answered(3),
     second_call(w.literal("x-a", "1", w.INCREMENTAL) * 3, w.indexed(62) + w.indexed(63) + w.indexed(64)))
case("4.1/entry-size", "An entry has 32 octets besides its text: four of 1000 stand in a table of 4096.", answered(3),
     second_call(filled(4), w.indexed(65)))
case("4.1/evicted-entry", "The fifth evicts the first: its index is a decoding error.", COMPRESSION,
     second_call(filled(5), w.indexed(66)))
case("4.4/entry-above-the-table", "An entry greater than the table empties it and is no error.", answered(3),
     second_call(w.literal("x-a", "1", w.INCREMENTAL) + w.literal("x-b", "v" * 5000, w.INCREMENTAL), b""))
case("4.4/table-is-empty-then", "After it no entry is left.", COMPRESSION,
     second_call(w.literal("x-a", "1", w.INCREMENTAL) + w.literal("x-b", "v" * 5000, w.INCREMENTAL), w.indexed(62)))
case("4.4/name-of-the-evicted", "An entry may take its name from one that it evicts.", answered(3),
     second_call(filled(4), w.literal(65, "v" * 962, w.INCREMENTAL) + w.indexed(62)))
case("6.2.2/not-indexed-stays-out", "Literals without indexing do not enter the table.", COMPRESSION,
     second_call(w.literal("x-a", "1") + w.literal("x-b", "1", w.NEVER_INDEXED), w.indexed(62)))

# ---- 4.2, 6.3 size updates

case("4.2/update-at-the-start", "A size update may begin a block.", answered(), with_field(b"", w.size_update(128)))
case("4.2/two-updates-at-the-start", "Two may.", answered(), with_field(b"", w.size_update(0) + w.size_update(4096)))
case("4.3/update-to-zero-evicts", "A table of no size is empty.", COMPRESSION, lambda c: (
    w.headers(1, c.block() + w.literal("x-a", "1", w.INCREMENTAL)) + c.body(1) +
    w.headers(3, w.size_update(0) + c.block() + w.indexed(62)) + c.body(3)))
case("4.3/update-keeps-what-fits", "A smaller table keeps the newest entries that fit.", answered(3), lambda c: (
    w.headers(1, c.block() + filled(4)) + c.body(1) +
    w.headers(3, w.size_update(2000) + c.block() + w.indexed(63)) + c.body(3)))
case("4.3/update-drops-the-rest", "And drops the older ones.", COMPRESSION, lambda c: (
    w.headers(1, c.block() + filled(4)) + c.body(1) +
    w.headers(3, w.size_update(2000) + c.block() + w.indexed(64)) + c.body(3)))
broken("4.2/update-at-the-end", "A size update at the end of a block is a decoding error.", w.size_update(128))
broken("4.2/update-between-fields", "So is one between fields.", w.size_update(128) + w.literal("x-a", "1"))
case("6.3/update-above-the-limit", "A size update above SETTINGS_HEADER_TABLE_SIZE is a decoding error.", COMPRESSION,
     lambda c: w.headers(1, w.size_update(c.server_settings.get(w.HEADER_TABLE_SIZE, 4096) + 1) + c.block()) + c.body(1))
broken("6.3/update-without-end", "A size update whose integer does not end is a decoding error.", b"\x3f\xff\xff")
case("6.3/update-to-the-limit", "A size update to the limit is taken.", answered(), lambda c: (
    w.headers(1, w.size_update(c.server_settings.get(w.HEADER_TABLE_SIZE, 4096)) + c.block()) + c.body(1)))

# ---- 5.1 integers

for _size in (0, 1, 126, 127, 128, 254, 255, 256, 382, 383, 2000):
    case(f"5.1/string-of-{_size}", f"A value of {_size} octets is read.", answered(),
         with_field(w.literal("x-a", "v" * _size)))
case("5.1/two-surplus-zeros", "An integer with surplus zero octets is read, or refused as too long.",
     answered() | COMPRESSION, with_field(b"\x00" + w.string("x-a") + w.integer(127, 7, zeros=2) + b"v" * 127))
broken("5.1/integer-overflow", "An integer beyond all bounds is a decoding error.", b"\xff" + b"\xff" * 10 + b"\x7f")
broken("5.1/integer-of-32-bits-and-more", "So is one that would wrap at 32 bits: 2^32 + 2.",
       w.integer(2**32 + 2, 7, 0x80))
broken("5.1/integer-of-64-bits-and-more", "So is one that would wrap at 64 bits: 2^64 + 2.",
       w.integer(2**64 + 2, 7, 0x80))
broken("5.1/integer-without-end", "So is one that does not end in the block.", b"\xff\x80\x80")
broken("5.1/zeros-without-end", "So is one of zero octets without end.", b"\xff" + b"\x80" * 200 + b"\x00")
broken("5.1/length-wraps", "A string's length that would wrap at 64 bits is a decoding error.",
       b"\x00" + w.string("x-a") + w.integer(2**64 + 1, 7) + b"v")

# ---- 5.2 strings

KINDS = (("incremental", w.INCREMENTAL, "with incremental indexing"), ("not-indexed", w.NOT_INDEXED, "without indexing"),
         ("never-indexed", w.NEVER_INDEXED, "never indexed"))
for _id, _kind, _text in KINDS:
    for _coded in (False, True):
        _with = "Huffman-coded" if _coded else "plain"
        _end = "-huffman" if _coded else ""
        case(f"6.2/{_id}-new-name{_end}", f"A literal {_text}, new name, {_with}, is read.", answered(),
             with_field(w.literal("x-new", "value", _kind, _coded)))
        case(f"6.2/{_id}-indexed-name{_end}", f"A literal {_text}, indexed name, {_with}, is read.", answered(),
             with_field(w.literal(58, "agent/1.0", _kind, _coded)))
        case(f"6.2/{_id}-dynamic-name{_end}", f"A literal {_text}, name of the dynamic table, {_with}, is read.",
             answered(), with_field(w.literal("x-kept", "1", w.INCREMENTAL) + w.literal(62, "2", _kind, _coded)))
case("6.1/indexed", "Indexed fields of both tables are read.", answered(),
     with_field(w.indexed(16) + w.literal("x-a", "1", w.INCREMENTAL) + w.indexed(62) + w.indexed(16)))
case("5.2/all-huffman", "A whole head may be Huffman-coded.", answered(),
     lambda c: w.headers(1, w.block(c.fields(), w.INCREMENTAL, huffman=True)) + c.body(1))
case("5.2/every-character", "Every visible character is read from its Huffman code.", answered(),
     with_field(w.literal("x-all", "".join(chr(code) for code in range(33, 127)), huffman=True)))
case("5.2/every-high-octet", "So is every octet above 127.", answered(),
     with_field(w.literal("x-high", bytes(range(128, 256)), huffman=True)))
case("5.2/empty-huffman", "An empty string may be called Huffman-coded.", answered(),
     with_field(b"\x00" + w.string("x-empty") + b"\x80"))


def coded(octets):
    """A field whose value is these octets, called Huffman-coded."""
    return b"\x00" + w.string("x-a") + w.integer(len(octets), 7, 0x80) + octets


broken("5.2/padding-of-8-bits", "Padding of more than 7 bits is a decoding error.", coded(b"\x1f\xff"))
broken("5.2/padding-of-a-whole-octet", "So is a whole octet of ones behind a code that ends with its octet.",
       coded(w.string("e" * 8, True)[1:] + b"\xff"))
broken("5.2/padding-only", "So is a string that is padding alone.", coded(b"\xff"))
broken("5.2/padding-of-zeros", "Padding that is not the begin of EOS is a decoding error.", coded(b"\x18"))
broken("5.2/padding-of-mixed-bits", "Also where it only begins like it.", coded(b"\x1e"))
broken("5.2/eos", "EOS within a string is a decoding error.", coded(b"\x1f\xff\xff\xff\xff"))
broken("5.2/eos-alone", "EOS alone is.", coded(b"\xff\xff\xff\xff"))
broken("5.2/eos-in-a-name", "EOS within a name is.", b"\x00\x84\xff\xff\xff\xff" + w.string("1"))
broken("5.2/value-cut-short", "A value longer than the block is a decoding error.",
       b"\x00" + w.string("x-a") + b"\x0av")
broken("5.2/name-cut-short", "So is a name.", b"\x00\x0ax-a")
broken("5.2/no-value", "So is a name without a value.", b"\x00" + w.string("x-a"))
broken("5.2/huffman-cut-short", "So is a Huffman-coded value.", b"\x00" + w.string("x-a") + b"\x8a\x1f")
broken("5.2/literal-without-name", "So is a representation's first octet alone.", b"\x00")

# ---- 6.1, 6.2

broken("6.1/index-zero", "Index 0 is a decoding error.", w.indexed(0))
broken("6.1/index-zero-first", "Also as the first of the block.", b"", before=w.indexed(0))
case("7.1.3/never-indexed-call", "A head that is all never-indexed literals is read.", answered(),
     lambda c: w.headers(1, w.block(c.fields(("authorization", "secret")), w.NEVER_INDEXED)) + c.body(1))
case("6.2/field-rules-hold", "The rules for names hold for what comes from the table: upper case is malformed.",
     malformed(), with_field(w.literal("X-Bad", "1", w.INCREMENTAL, True)))
