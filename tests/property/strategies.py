"""Strings that an EPR may send as a postcode, the nastiest included."""

from hypothesis import strategies as st

from app.lookup.postcode import rules

_SPACES = st.text(" \t\r\n\u00a0\u2003\u200b", max_size=4)
_ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz"


@st.composite
def _near_postcodes(draw: st.DrawFn) -> str:
    """Real shapes with any spacing, case, and now and then one character changed."""
    code = draw(st.from_regex(rules().real, fullmatch=True))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(code) - 1))
        code = code[:at] + draw(st.sampled_from(_ALNUM + " OI01-é")) + code[at + 1 :]
    if draw(st.booleans()):
        code = code.lower()
    at = draw(st.integers(0, len(code)))
    return draw(_SPACES) + code[:at] + draw(_SPACES) + code[at:] + draw(_SPACES)


postcodes = st.one_of(
    _near_postcodes(),
    st.from_regex(rules().real, fullmatch=True).map(lambda c: f"{c[:-3]} {c[-3:]}"),
    st.sampled_from(
        [*rules().exact, "BF1 1AA", "GY1 1AA", "JE11AA", "im9 9zz", "BFPO 12", "GIR 0AA", "gir0aa", "GIR 0AB"]
    ),
    st.from_regex("ZZ99 ?[0-9][A-Z]Z?", fullmatch=True),
    st.text(_ALNUM + " ", max_size=9),
    st.text("NG1 A\x00\x0b\x1c0OI1", max_size=9),
    st.text(max_size=12),
    st.sampled_from(
        [
            "\x00NG1 1AA",
            "XNG161AA",
            "NG1 1AC",
            "NG1 1A1",
            "1M1 1AA",
            " " * 64 + "NG1 1AA",
            " " * 57 + "NG1 1AA",
            "N" * 300,
            "é" * 64,
            "\u2003" * 60 + "NG11AA",
            "M1   1AE",
        ]
    ),
    st.none(),
)
