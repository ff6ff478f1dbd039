"""Targets that read short texts: postcodes, contacts, FHIR, CDS Hooks, rules, HL7, cards, headers, the spool.

A target takes bytes and returns nothing. It fails by any exception that its reader does not promise, and where two
ways to the same answer differ.
"""

import json
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import hl7
from pydantic import ValidationError

from app.access.keys import is_key
from app.access.tokens import TokenError
from app.card import view_of
from app.context.area import AreaRules
from app.context.catchment import Catchments
from app.context.cautions import Cautions
from app.context.core20plus5 import Core20Plus5
from app.context.files import RuleFileError, RuleFolder
from app.context.inclusion import Inclusion
from app.context.offers import Offers
from app.context.organisation import Organisation
from app.context.practice import Practice
from app.context.prompts import Prompts
from app.context.signposting import Directory
from app.context.summary import Summaries
from app.context.targets import Targets
from app.contract.cds_hooks import AppointmentBookRequest, CdsFeedback, PatientViewRequest
from app.contract.render import render
from app.counts.contact import read_contact
from app.counts.intake import NO_CONTACT
from app.counts.spool import _read as read_spooled
from app.enrichment import enrich
from app.errors import Problem
from app.interop import cds_hooks
from app.interop.fhir import Fault, observation, parameters, read_question
from app.lookup.postcode import KINDS, parse, parse_column
from app.lookup.text import TextColumn
from app.pages import token
from app.pages.card import render_card
from app.routers.answering import question_of, read_record
from app.routers.json_body import read_json
from app.sealing import BadTokenError, ExpiredTokenError
from app.tracing import read_trace
from examples.hl7v2 import mapping
from fuzz import around, values
from tests.unit.access.signers import HOOK, NOW

DAY = date(2026, 11, 20)
SECRETS = (b"a secret of thirty-two characters",)


def postcodes(data: bytes) -> None:
    """Each line as a string and as a row of a column, as UTF-8 and as the bytes that they are: the same answers."""
    lines = data.split(b"\n")[:8]
    texts = [line.decode("utf-8", "replace") for line in lines]
    read = [parse(text) for text in texts]
    for one in read:
        assert (one.sector >= 0) == (one.unit >= 0) == (one.kind == "real")
    asked = [(KINDS.index(one.kind), one.sector, one.unit, one.repaired) for one in read]
    _same(TextColumn.of(texts), asked)
    index = around.index()
    found, slots = index.each(texts)
    for text, finding, slot in zip(texts, found, slots.tolist(), strict=True):
        alone = index.one(text)
        assert alone.slot == slot
        assert _alike(alone.finding, finding)


def _same(column: TextColumn, asked: list[tuple[int, int, int, bool]]) -> None:
    read = parse_column(column)
    rows = zip(read.kind.tolist(), read.sector.tolist(), read.unit.tolist(), read.repaired.tolist(), strict=True)
    assert list(rows) == asked


def _alike(one: Any, other: Any) -> bool:
    names = ("status", "profile", "flags", "repaired", "problem", "special_country")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def postcode_bytes(data: bytes) -> None:
    """A column of any bytes, as a file may hold: row by row what the scalar reader says of the text."""
    rows = data.split(b"\n")[:8]
    offsets = [0]
    for row in rows:
        offsets.append(offsets[-1] + len(row))
    read = [parse(row.decode("utf-8", "replace")) for row in rows]
    column = TextColumn.end_to_end(_array(b"".join(rows)), _numbers(offsets))
    _same(column, [(KINDS.index(one.kind), one.sector, one.unit, one.repaired) for one in read])


def _array(data: bytes) -> Any:
    import numpy as np

    return np.frombuffer(data, np.uint8)


def _numbers(values: list[int]) -> Any:
    import numpy as np

    return np.array(values, np.int64)


def _value(data: bytes) -> Any:
    """A JSON value as the doors read it; None where it is none."""
    try:
        return read_json(data)
    except ValueError:
        return None


def _edited(*seeds: Any) -> Callable[[bytes], Any]:
    """A reader of bytes as edits of these, by way of JSON text."""
    return lambda data: _value(json.dumps(values.edited(data, seeds)).encode())


def enrichment(data: bytes, read: Callable[[bytes], Any] = _value) -> None:
    """A body of `/v1/enrich`: refused as a Problem, or answered in JSON that names no postcode."""
    try:
        record = read_record(read(data))
    except Problem as problem:
        json.dumps(problem.body())
        return
    answer = enrich(question_of(record), around.index(), around.rules())
    for may_see_groups in (False, True):
        written = render(answer, NO_CONTACT, around.index().release, around.rules(), may_see_groups=may_see_groups)
        assert isinstance(json.loads(written), dict)


def enrichment_values(data: bytes) -> None:
    """`enrichment` of sound JSON."""
    enrichment(data, _edited(values.RECORD))


def contact(data: bytes, read: Callable[[bytes], Any] = _value) -> None:
    """A contact whose structure is sound: a value is read or noticed, and none raises."""
    try:
        record = read_record({"postcode": None, "contact": read(data)})
    except Problem:
        return
    found, notices = read_contact(record.get("contact") or {}, DAY, "2020-04")
    assert found is not None or notices


def contact_values(data: bytes) -> None:
    """`contact` of sound JSON."""
    contact(data, _edited(values.CONTACT))


def fhir(data: bytes, read: Callable[[bytes], Any] = _value) -> None:
    """A Patient or Parameters: a fault that holds no value, or an answer."""
    question = read_question(read(data), DAY)
    if isinstance(question, Fault):
        return
    answer = enrich(question, around.index(), around.rules())
    json.dumps(parameters(answer, around.index().release, around.rules(), may_see_groups=True))
    json.dumps(observation(answer, around.rules(), DAY, "https://imd-lens.example.nhs.uk/fhir/R4"))


def fhir_values(data: bytes) -> None:
    """`fhir` of sound JSON."""
    fhir(data, _edited(values.PATIENT, values.PARAMETERS))


def hooks(data: bytes, read: Callable[[bytes], Any] = _value) -> None:
    """A body of any door of CDS Hooks."""
    value = read(data)
    for kind in (PatientViewRequest, AppointmentBookRequest, CdsFeedback):
        try:
            body = kind.model_validate(value)
        except ValidationError:
            continue
        if isinstance(body, CdsFeedback):
            continue
        patient = cds_hooks.prefetched_patient(body.prefetch)
        if patient is None:
            continue
        if isinstance(body, AppointmentBookRequest):
            json.dumps(cds_hooks.offers_card(patient, DAY, around.rules(), "id"))
            continue
        answer = enrich(cds_hooks.question_of(patient, DAY), around.index(), around.rules())
        json.dumps(cds_hooks.context_card(answer, around.index().release, around.rules(), "id", None))


def hooks_values(data: bytes) -> None:
    """`hooks` of sound JSON."""
    hooks(data, _edited(values.hook("patient-view"), values.hook("appointment-book"), values.FEEDBACK))


RULE_FILES: tuple[tuple[str, Callable[[RuleFolder], Any]], ...] = (
    ("summaries.toml", Summaries.load),
    ("inclusion.toml", Inclusion.load),
    ("inclusion_signals.csv", Inclusion.load),
    ("cautions.toml", Cautions.load),
    ("places.csv", Cautions.load),
    ("area.toml", AreaRules.load),
    ("prompts.toml", Prompts.load),
    ("core20plus5.toml", Core20Plus5.load),
    ("core20plus5.csv", Core20Plus5.load),
    ("signposts.csv", Directory.load),
    ("organisation.toml", Organisation.load),
    ("offers.toml", Offers.load),
    ("good_practice.csv", Practice.load),
    ("targets.csv", Targets.load),
    ("catchment.csv", Catchments.load),
)


def rule_files(data: bytes) -> None:
    """A rules file of the organisation's own, which one by the first byte: taken, or refused in a sentence."""
    name, load = RULE_FILES[(data[0] if data else 0) % len(RULE_FILES)]
    path = around.folder() / "rules"
    path.write_bytes(data[1:])
    try:
        load(RuleFolder(instead={name: path}))
    except RuleFileError as error:
        check_sentence(error)


def check_sentence(error: Exception) -> None:
    """A refusal is a sentence, with an end."""
    assert str(error).endswith(".")


def hl7_message(data: bytes) -> None:
    """The example for integration engines: a message that can be parsed becomes a body that can be sent."""
    try:
        message = mapping.parsed(data.decode("latin-1"))
    except (hl7.HL7Exception, AssertionError, ValueError, IndexError, KeyError, AttributeError, TypeError):
        return  # the parser is not ours
    json.dumps(mapping.request_of(message, b"key"))


def card(data: bytes) -> None:
    """A card's address, and behind a sound seal any content: opened, or refused by one of three errors."""
    text = data.decode("latin-1")
    try:
        token.open_token(text, SECRETS, NOW)
        raise AssertionError("nobody sealed this")
    except (BadTokenError, ExpiredTokenError):
        pass
    try:
        content = token.open_token(token.seal(data, SECRETS, NOW), SECRETS, NOW)
    except ValueError:  # too long to be sealed
        return
    assert content == data
    try:
        render_card(view_of(content, around.rules()))
    except ValueError:
        return


def headers(data: bytes) -> None:
    """`Authorization` and `traceparent`: believed where they are as they must be, and else nothing."""
    trace = read_trace(data)
    if trace is not None:
        assert len(trace.trace_id) == 32
        assert len(trace.parent_id) == 16
    is_key(data)
    reader = around.tokens()
    for read in (lambda: reader.caller(data, NOW), lambda: reader.hook(data, HOOK, NOW)):
        try:
            caller = read()
        except TokenError:
            continue
        assert data in known_tokens(), caller


def known_tokens() -> tuple[bytes, ...]:
    """Tokens that are good, which seeds hold."""
    from fuzz.seeds import tokens

    return tokens()


def spool(data: bytes) -> None:
    """A spooled batch that a disk changed: read, or refused by an error that sets it aside."""
    _spooled(data.decode("utf-8", "replace"))


def spool_values(data: bytes) -> None:
    """`spool` of sound JSON."""
    _spooled(json.dumps(values.edited(data, [values.SPOOLED])))


def _spooled(text: str) -> None:
    try:
        read_spooled("batch", text)
    except (ValueError, TypeError, LookupError):
        return


def slow(data: bytes) -> None:
    """Fails by taking too long for what it is given; there to test the harness."""
    if data == b"slow":
        time.sleep(60)
    assert data != b"crash", "found"
