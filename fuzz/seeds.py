"""What fuzzing begins with: sound inputs of each target, and words that its inputs are made of."""

import io
import json
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.enrichment import Question, enrich
from fuzz import around
from fuzz.files import with_sheet, workbook_parts
from fuzz.readers import DAY, RULE_FILES
from fuzz.values import CONTACT, FEEDBACK, PARAMETERS, PATIENT, RECORD, SIGNALS, SPOOLED, hook
from tests.unit.access import signers

_EXAMPLES = Path(__file__).parents[1] / "examples" / "hl7v2"


def _json(*values: Any) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def _postcodes() -> list[bytes]:
    odd = ["ng11aa", "NG1  1AA", " M1 1AE ", "ZZ99 3VZ", "GIR 0AA", "BFPO 12", "NG1", "N0I IAA", "é", "\u2003NG11AA"]
    return [*(text.encode() for text in odd), "\n".join(odd).encode(), b"NG1 1A\0", b"\xff\xfe", b"EC1A 1BB\nW1A 0AX"]


def _delimited() -> list[bytes]:
    texts = [
        b'id,postcode,note\r\n007,NG1 1AA,"a, b"\r\n8,ng11aa,"x""y"\r\n',
        b"postcode\nNG1 1AA\n\nDT1 1AA",
        b"sep=;\nid;postcode\n1;NG1 1AA\n",
        b"\xef\xbb\xbfpostcode|n\nNG1 1AA|1\n",
        "id\tpostcode\n1\tNG1 1AA\n".encode("utf-16"),
        b'a,postcode\n1\n1,2,3\n"open,NG1 1AA\n',
        b"postcode,n\nNG1 1AA,\xe9\n",
    ]
    return [bytes([options]) + text for text in texts for options in (0, 8, 16, 39)]


def _ndjson() -> list[bytes]:
    text = b'{"postcode": "NG1 1AA", "n": 1.50}\n{"postcode": null, "x": {"postcode": "q"}}\n\n'
    text += b'{"\\u0070ostcode": "DT1 1AA"}'
    return [bytes([options]) + text for options in (0, 8, 16)]


def _parquet() -> list[bytes]:
    made = []
    columns = {"postcode": ["NG1 1AA", None, "dt11aa"], "n": [1, 2, 3], "x": [1.5, None, 0.0]}
    table = pa.table(columns)
    for options in (
        {},
        {"compression": "none", "use_dictionary": False},
        {"compression": "zstd", "data_page_version": "2.0"},
    ):
        file = io.BytesIO()
        pq.write_table(table, file, **options)
        made.append(file.getvalue())
    return made


def _workbook() -> list[bytes]:
    sheet = next(part for name, part in workbook_parts().items() if name.endswith("sheet1.xml"))
    return [b"\1" + sheet, b"\0" + with_sheet(sheet), b"\3" + sheet]


def _index() -> list[bytes]:
    return [b"\0" + around.small_index(), b"\1" + around.small_index()]


def _rule_files() -> list[bytes]:
    folder = resources.files("app.context").joinpath("rules")
    return [bytes([number]) + folder.joinpath(name).read_bytes() for number, (name, _) in enumerate(RULE_FILES)]


def _cards() -> list[bytes]:
    from app.card import pack
    from app.pages import token

    made = []
    for text in ("NG1 1AA", "ZZ99 3VZ", "DT1 1AA", "no"):
        question = Question(text, {"specialty": "100", "age": 54}, SIGNALS, context_on=DAY)
        answer = enrich(question, around.index(), around.rules())
        made.append(pack(question, answer, around.index(), may_see_groups=True))
    return [*made, token.seal(made[0], (b"another",), signers.NOW).encode()]


@cache
def tokens() -> tuple[bytes, ...]:
    """Tokens that `around.tokens` believes."""
    made = [signers.IDP_KEYS[name].token(signers.access_claims()) for name in signers.ALL]
    made += [
        signers.ENGINE_KEY.token(signers.client_claims()),
        signers.EPR_KEY.token(signers.hook_claims(), jku=signers.JKU),
    ]
    return tuple(text.encode() for text in made)


def _headers() -> list[bytes]:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    return [*tokens(), trace, b"imdl_" + b"A" * 43, b""]


def _chosen_at_random() -> list[bytes]:
    """What `values.edited` makes edits of: any bytes will do."""
    chance = Random(2026)
    return [chance.randbytes(length) for length in (0, 4, 8, 16, 16, 32, 32, 64)]


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "postcodes": _postcodes,
    "postcode_bytes": _postcodes,
    "enrichment": lambda: _json(RECORD, {"postcode": "ZZ99 3VZ"}, {"postcode": None}),
    "contact": lambda: _json(CONTACT, {"age": "054", "date": "2026-02-30"}),
    "fhir": lambda: _json(PATIENT, PARAMETERS),
    "hooks": lambda: _json(hook("patient-view"), hook("appointment-book"), FEEDBACK),
    "headers": _headers,
    "card": _cards,
    "rule_files": _rule_files,
    "hl7_message": lambda: [path.read_bytes() for path in sorted(_EXAMPLES.glob("*.hl7"))],
    "spool": lambda: _json(SPOOLED),
    **dict.fromkeys(
        ("contact_values", "enrichment_values", "fhir_values", "hooks_values", "spool_values"), _chosen_at_random
    ),
    "index": _index,
    "ndjson": _ndjson,
    "delimited": _delimited,
    "workbook": _workbook,
    "parquet": _parquet,
}


def words(name: str) -> list[bytes]:
    """Short pieces that inputs of a target are made of, longest first: what a mutation puts in as a whole."""
    found: set[bytes] = set()
    for seed in SEEDS[name]():
        for piece in _pieces(seed):
            if 2 <= len(piece) <= 60:
                found.add(piece)
    return sorted(found, key=len, reverse=True)[:200]


def _pieces(seed: bytes) -> list[bytes]:
    return seed.replace(b"=", b'"').replace(b"|", b'"').replace(b",", b'"').replace(b"\n", b'"').split(b'"')
