"""Read a postcode as an EPR sends it: normalise, classify, repair, and pack it to two integers.

One reading, two engines: `parse` takes a single string, `parse_column` a whole column, and a
property test holds them equal. What a postcode looks like and what the special ones mean is data,
in `postcode_rules.toml`.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from string import ascii_uppercase, digits
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from app.lookup.text import TextColumn

# What a text may say other than a real postcode.
Special = Literal[
    "malformed",
    "no_fixed_abode",
    "address_not_known",
    "country_only",
    "overseas",
    "forces",
    "crown_dependency",
    "withheld",
]
Kind = Literal["real", Special]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
Problem = Literal["empty", "too_long", "partial", "not_a_postcode"]

Int32s = npt.NDArray[np.int32]


class Postcode(NamedTuple):
    """What one string says. `sector` and `unit` are -1 unless `kind` is `real`."""

    kind: Kind
    sector: int = -1
    unit: int = -1
    country: str | None = None
    repaired: bool = False
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class ParsedColumn:
    """`parse` of every row, as arrays of equal length."""

    kind: npt.NDArray[np.uint8]  # position in KINDS
    sector: Int32s
    unit: Int32s
    repaired: npt.NDArray[np.bool_]


# ---------------------------------------------------------------------------------------- rules


@dataclass(frozen=True, slots=True)
class Rules:
    """`postcode_rules.toml`, made ready to apply."""

    version: str
    longest: int
    invisible: dict[int, None]
    outward: re.Pattern[str]
    real: re.Pattern[str]
    partial: re.Pattern[str]
    layouts: tuple[str, ...]
    irregular: frozenset[str]
    exact: dict[str, Postcode]
    patterns: tuple[tuple[re.Pattern[str], Postcode], ...]
    areas: dict[str, Postcode]


@cache
def rules() -> Rules:
    """The rules of this version, read once."""
    text = resources.files("app.lookup").joinpath("postcode_rules.toml").read_text("utf-8")
    data = tomllib.loads(text)
    layouts, inward = data["shape"]["outward"], data["shape"]["inward"]
    outward = "|".join(layouts.values())
    exact: dict[str, Postcode] = {}
    patterns: list[tuple[re.Pattern[str], Postcode]] = []
    areas: dict[str, Postcode] = {}
    for special in data["special"]:
        meaning = Postcode(special["status"], country=special.get("country"))
        exact.update(dict.fromkeys(special.get("exact", ()), meaning))
        areas.update(dict.fromkeys(special.get("area", ()), meaning))
        if "pattern" in special:
            patterns.append((re.compile(special["pattern"]), meaning))
    return Rules(
        version=data["version"],
        longest=data["spacing"]["longest"],
        invisible={ord(c): None for c in data["spacing"]["invisible"]},
        outward=re.compile(outward),
        real=re.compile(f"(?:{outward}){inward}"),
        partial=re.compile(f"(?:{outward})(?:[0-9][A-Z]?)?|[A-Z]{{1,2}}"),
        layouts=tuple(f"{layout}9AA" for layout in layouts),
        irregular=frozenset(code.replace(" ", "") for code in data["shape"]["irregular"]),
        exact=exact,
        patterns=tuple(patterns),
        areas=areas,
    )


# -------------------------------------------------------------------------------------- packing
#
# An outward code, right-aligned in four characters, is two pairs. A sector is (high pair, low
# pair, inward digit) as one number; a unit is the last two letters. Both are small enough to
# address a table directly.

INWARD_LETTERS: Final = "ABDEFGHJLNPQRSTUWXYZ"
UNITS: Final = len(INWARD_LETTERS) ** 2
_HIGH_PAIRS: Final = ["", *ascii_uppercase, *map("".join, product(ascii_uppercase, repeat=2))]
_LOW_PAIRS: Final = [
    *map("".join, product(ascii_uppercase, digits)),
    *map("".join, product(digits, digits)),
    *map("".join, product(digits, ascii_uppercase)),
    "IR",  # GIR 0AA, the one irregular postcode: packed, but read by `parse` alone
]
SECTORS: Final = len(_HIGH_PAIRS) * len(_LOW_PAIRS) * 10
_HIGH: Final = {pair: i * len(_LOW_PAIRS) * 10 for i, pair in enumerate(_HIGH_PAIRS)}
_LOW: Final = {pair: i * 10 for i, pair in enumerate(_LOW_PAIRS)}
_UNIT: Final = {a + b: i for i, (a, b) in enumerate(product(INWARD_LETTERS, repeat=2))}


def sector_name(sector: int) -> str:
    """A sector's number back to how it is written, `NG1 1`."""
    outward, digit = divmod(sector, 10)
    high, low = divmod(outward, len(_LOW_PAIRS))
    return f"{_HIGH_PAIRS[high]}{_LOW_PAIRS[low]} {digit}"


def unit_names() -> list[str]:
    """The 400 units in the order of their numbers, `AA`, `AB`, `AD` …"""
    return list(_UNIT)


# ---------------------------------------------------------------------------------- one at a time


def parse(text: str | None) -> Postcode:
    """Read one string. Never raises: what cannot be read is `malformed`, with the problem."""
    rule = rules()
    if text is None:
        return Postcode("malformed", problem="empty")
    if len(text) > rule.longest:
        return Postcode("malformed", problem="too_long")
    code = "".join(text.translate(rule.invisible).split())
    if not code:
        return Postcode("malformed", problem="empty")
    if not code.isascii():  # a look-alike letter is not a letter, and upper() may make two of one
        return Postcode("malformed", problem="not_a_postcode")
    return _classify(code.upper(), rule)


def _classify(code: str, rule: Rules) -> Postcode:
    if code in rule.exact:
        return rule.exact[code]
    for pattern, meaning in rule.patterns:
        if pattern.fullmatch(code):
            return meaning
    if rule.real.fullmatch(code) or code in rule.irregular:
        return _real(code, rule)
    if rule.partial.fullmatch(code):
        return Postcode("malformed", problem="partial")
    readings = {r for r in _readings(code, rule) if rule.real.fullmatch(r)}
    if len(readings) == 1:
        return _real(readings.pop(), rule)._replace(repaired=True)
    return Postcode("malformed", problem="not_a_postcode")


def _real(code: str, rule: Rules) -> Postcode:
    special = rule.areas.get(_area(code))
    if special:
        return special
    outward, digit, unit = code[:-3], code[-3], code[-2:]
    sector = _HIGH[outward[:-2]] + _LOW[outward[-2:]] + int(digit)
    return Postcode("real", sector, _UNIT[unit])


def _area(code: str) -> str:
    return code[:2] if code[1].isalpha() else code[0]


_AS_LETTER: Final = str.maketrans("01", "OI")
_AS_DIGIT: Final = str.maketrans("OI", "01")


def _readings(code: str, rule: Rules) -> list[str]:
    """A code in each layout of its length, with O and 0, or I and 1, taken for what stands in that place."""
    return [
        "".join(c.translate(_AS_LETTER if kind == "A" else _AS_DIGIT) for c, kind in zip(code, layout, strict=True))
        for layout in rule.layouts
        if len(layout) == len(code)
    ]


# -------------------------------------------------------------------------------- a whole column

CHUNK: Final = 16_384  # rows whose intermediate arrays stay in the cache, and in the allocator's pool
_INVALID: Final = -(2**28)  # three of them still fit an int32, and stay negative
_UNKNOWN, _ASK = -1, -2  # an outward code not met yet; one whose postcodes `parse` must read one by one


def _pair_table(values: dict[str, int]) -> Int32s:
    """A table from two bytes, as a little-endian uint16, to a number; upper and lower case alike."""
    table = np.full(65_536, _INVALID, np.int32)
    for pair, value in values.items():
        padded = pair.rjust(2, "\0")
        for first, second in product({padded[0], padded[0].lower()}, {padded[1], padded[1].lower()}):
            table[ord(first) | ord(second) << 8] = value
    return table


@dataclass(frozen=True, slots=True)
class _Tables:
    high: Int32s
    low: Int32s
    digit: Int32s
    unit: Int32s
    spaces: npt.NDArray[np.uint64]  # by the pair before the inward code: bits to shift out with it
    keep: npt.NDArray[np.uint64]  # by length: which of the last eight bytes belong to the row
    kind: npt.NDArray[np.int8]  # by outward number: position in KINDS, or _ASK, or _UNKNOWN


@cache
def _tables() -> _Tables:
    digit = np.full(256, _INVALID, np.int32)
    digit[ord("0") : ord("9") + 1] = np.arange(10)
    spaces = np.full(65_536, 24, np.uint64)
    spaces[ord(" ") << 8 :][:256] = 32
    spaces[ord(" ") << 8 | ord(" ")] = 40
    keep = np.array([(2**64 - 1) << 8 * (8 - n) & (2**64 - 1) for n in range(9)] + [0], np.uint64)
    return _Tables(
        high=_pair_table(_HIGH),
        low=_pair_table({pair: value for pair, value in _LOW.items() if pair != "IR"}),
        digit=digit,
        unit=_pair_table(_UNIT),
        spaces=spaces,
        keep=keep,
        kind=np.full(SECTORS // 10, _UNKNOWN, np.int8),
    )


def pack(column: TextColumn, start: int, stop: int) -> tuple[Int32s, Int32s]:
    """Sector and unit of a run of rows; negative where the bytes are not laid out like a postcode.

    Only the layout is read (letters and digits in their places, up to two spaces between, any case):
    a sector that is not negative may still be one that no rule allows, so ask `parse_column` unless
    the sector is known to be real.
    """
    starts, ends = column.starts[start:stop], column.ends[start:stop]
    return _pack(column.data, starts.astype(np.int64, copy=False), ends.astype(np.int64, copy=False))


def _pack(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[Int32s, Int32s]:
    # Some 25 array operations and no Python per row. mode="wrap" only skips NumPy's check of the
    # indices: none can be out of range.
    t = _tables()
    word = _last_eight(data, ends)
    word &= t.keep.take(ends - starts, mode="clip")
    pairs = word.view(np.uint16).reshape(-1, 4)
    octets = word.view(np.uint8).reshape(-1, 8)
    unit = t.unit.take(pairs[:, 3], mode="wrap")
    sector = t.digit.take(octets[:, 5], mode="wrap")
    before = ((word >> np.uint64(24)) & np.uint64(0xFFFF)).view(np.int64)
    word <<= t.spaces.take(before, mode="wrap")
    sector += t.high.take(pairs[:, 2], mode="wrap")
    sector += t.low.take(pairs[:, 3], mode="wrap")
    sector[word.view(np.uint32)[::2] != 0] = _INVALID  # five characters before the inward code
    run = data[starts[0] : ends[-1]] if len(ends) else data[:0]
    if not run.min(initial=1):
        # Zero bytes stand for "nothing here" above; a text that holds one is no postcode.
        zeros = np.flatnonzero(run == 0) + starts[0]
        sector[np.searchsorted(zeros, ends) > np.searchsorted(zeros, starts)] = _INVALID
    return sector, unit


def _last_eight(data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """The eight bytes before each end, as one little-endian integer; what lies before the data is 0."""
    if len(data) < 8:
        data = np.concatenate([np.zeros(8, np.uint8), data])
        ends = ends + 8
    # Overlapping windows: window i is bytes i..i+7. No copy; x86 and ARM read them unaligned.
    windows = np.ndarray((len(data) - 7,), np.dtype("<u8"), data, strides=(1,))
    word: npt.NDArray[np.uint64] = windows[np.maximum(ends - 8, 0)]
    for row in np.flatnonzero(ends < 8):
        word[row] = int.from_bytes(data[: ends[row]].tobytes().rjust(8, b"\0"), "little")
    return word


def longest_bytes() -> int:
    """A row of this many bytes has too many characters whatever they are, so it may be cut there."""
    return rules().longest * 4 + 4


def parse_column(column: TextColumn) -> ParsedColumn:
    """Read every row: the same answer as `parse`, at some fifty times its speed.

    Rows in any usual layout are read by array operations; the rest (specials, repairs, other white
    space, rubbish) once for each distinct string.
    """
    n = len(column)
    if n and (column.ends - column.starts).max() > (most := longest_bytes()):
        column = column.take(np.arange(n), most)
    parsed = ParsedColumn(np.zeros(n, np.uint8), np.empty(n, np.int32), np.empty(n, np.int32), np.zeros(n, np.bool_))
    for start in range(0, n, CHUNK):
        stop = min(start + CHUNK, n)
        rows = slice(start, stop)
        parsed.sector[rows], parsed.unit[rows] = pack(column, start, stop)
        asked = _decide(parsed, np.arange(start, stop))
        if len(asked):
            starts, ends = column.starts[asked].astype(np.int64), column.ends[asked].astype(np.int64)
            short = ends - starts <= rules().longest
            asked, longer = asked[short], asked[~short]
            starts, ends = _trimmed(column.data, starts[short], ends[short])
            parsed.sector[asked], parsed.unit[asked] = _pack(column.data, starts, ends)
            _ask(column, np.concatenate([_decide(parsed, asked), longer]), parsed)
    return parsed


def _decide(parsed: ParsedColumn, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Set the kind of every row whose outward code settles it, and return the rows still to be asked of."""
    kinds = _tables().kind
    sector, unit = parsed.sector[rows], parsed.unit[rows]
    laid_out = (sector | unit) >= 0
    outward = np.where(laid_out, sector, 0) // 10
    for unknown in np.unique(outward[kinds.take(outward) == _UNKNOWN]):
        kinds[unknown] = _kind_of_outward(sector_name(int(unknown) * 10).split()[0])
    kind = np.where(laid_out, kinds.take(outward), _ASK)
    settled = kind >= 0
    parsed.kind[rows] = np.where(settled, kind, 0)
    special = rows[kind > 0]
    parsed.sector[special] = parsed.unit[special] = -1
    return rows[~settled]


def _kind_of_outward(outward: str) -> int:
    rule = rules()
    if not rule.outward.fullmatch(outward) or any(code[:-3] == outward for code in rule.exact):
        return _ASK
    special = rule.areas.get(_area(outward))
    return KINDS.index(special.kind) if special else KINDS.index("real")


def _trimmed(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Starts and ends without the blanks, tabs and line ends around each row."""
    starts, ends = starts.copy(), ends.copy()
    blank = np.zeros(256, np.bool_)
    blank[[9, 10, 11, 12, 13, 32]] = True
    for edge, step in ((ends, -1), (starts, 1)):
        rows = np.flatnonzero(starts < ends)
        for _ in range(rules().longest):
            rows = rows[blank[data[edge[rows] - (step < 0)]]]
            edge[rows] += step
            rows = rows[starts[rows] < ends[rows]]
            if not len(rows):
                break
    return starts, ends


def _ask(column: TextColumn, rows: npt.NDArray[np.integer], parsed: ParsedColumn) -> None:
    """Let `parse` read these rows, each distinct string once, and write its answers."""
    seen: dict[bytes, tuple[int, int, int, bool]] = {}
    answers = []
    for value in column.values(rows):
        answer = seen.get(value)
        if answer is None:
            p = parse(value.decode("utf-8", "replace"))
            answer = seen[value] = (KINDS.index(p.kind), p.sector, p.unit, p.repaired)
        answers.append(answer)
    if answers:
        kind, sector, unit, repaired = zip(*answers, strict=True)
        parsed.kind[rows], parsed.sector[rows], parsed.unit[rows] = kind, sector, unit
        parsed.repaired[rows] = repaired
