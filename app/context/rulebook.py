"""All rules of a deployment, read once: what is said, asked and offered, and in which version."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.context.area import AreaFact, AreaRules
from app.context.catchment import Catchments
from app.context.cautions import Cautions
from app.context.core20plus5 import ClinicalArea, Core20Plus5
from app.context.files import RuleFile, RuleFolder
from app.context.inclusion import Inclusion
from app.context.offers import Offers
from app.context.organisation import Organisation
from app.context.practice import Practice
from app.context.prompts import Prompt, Prompts
from app.context.signposting import Directory, Signpost
from app.context.summary import Summaries
from app.context.targets import Targets


class Context(NamedTuple):
    """What a clinician may do with a decile."""

    area: tuple[AreaFact, ...]
    audience: str  # who is asked
    prompts: tuple[Prompt, ...]
    signposts: tuple[Signpost, ...]
    clinical_areas: tuple[ClinicalArea, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Rulebook:
    """Every rules file of a deployment, checked."""

    summaries: Summaries
    inclusion: Inclusion
    cautions: Cautions
    area: AreaRules
    prompts: Prompts
    core20plus5: Core20Plus5
    signposts: Directory
    organisation: Organisation
    offers: Offers
    practice: Practice
    targets: Targets
    catchment: Catchments
    files: tuple[RuleFile, ...]
    version: str

    @classmethod
    def load(cls, local: Path | None = None) -> "Rulebook":
        """The rules that this version ships, with the organisation's own in place of those of the same name.

        RuleFileError, in one sentence, when any file must not be used.
        """
        folder = RuleFolder(local)
        return cls(
            Summaries.load(folder),
            Inclusion.load(folder),
            Cautions.load(folder),
            AreaRules.load(folder),
            Prompts.load(folder),
            Core20Plus5.load(folder),
            Directory.load(folder),
            Organisation.load(folder),
            Offers.load(folder),
            Practice.load(folder),
            Targets.load(folder),
            Catchments.load(folder),
            tuple(folder.files),
            folder.version,
        )
