"""Who leads here; that nobody is recorded is said, since it is worth noticing."""

from pathlib import Path

import pytest

from app.context.files import RuleFileError, RuleFolder
from app.context.organisation import Organisation
from tests.unit.context.rule_folders import changed, with_lines


def test_a_blank_lead_says_that_none_is_recorded() -> None:
    organisation = Organisation.load(RuleFolder())
    assert [lead.sentence for lead in organisation.leads] == ["No lead recorded. Ask who leads on this here."] * 2
    assert organisation.resources == ()


def test_a_lead_and_a_resource_are_shown_as_the_organisation_wrote_them(tmp_path: Path) -> None:
    local = changed(
        tmp_path, "organisation.toml", ('name = ""\nrole = ""', 'name = "Dr Ada Example"\nrole = "consultant"')
    )
    path = local / "organisation.toml"
    path.write_text(path.read_text() + '\n[[resource]]\ntitle = "Our plan"\nurl = "https://example.org/plan"\n')
    organisation = Organisation.load(RuleFolder(local))
    assert organisation.leads[0].sentence == "Dr Ada Example, consultant."
    assert organisation.leads[1].name is None
    local = changed(tmp_path, "organisation.toml", ('contact = ""', 'contact = "lead@example.org"'))
    assert Organisation.load(RuleFolder(local)).leads[0].sentence == "lead@example.org."
    assert [r.title for r in organisation.resources] == ["Our plan"]


def test_a_resource_that_is_no_web_address_is_refused(tmp_path: Path) -> None:
    local = with_lines(tmp_path, "organisation.toml", "[[resource]]", 'title = "x"', 'url = "javascript:alert(1)"')
    with pytest.raises(RuleFileError, match="url: is not a web address"):
        Organisation.load(RuleFolder(local))
