"""Who leads on health inequalities here, and what the organisation offers its staff."""

from dataclasses import dataclass

from app.context.files import RuleFileError, RuleFolder, is_web_address

LEADS = ("health_inequalities", "inclusion_health")


@dataclass(frozen=True, slots=True, eq=False)
class Lead:
    """Who leads on one thing. `sentence` says who, or that nobody is recorded, which is itself worth knowing."""

    id: str
    title: str
    name: str | None
    role: str | None
    contact: str | None
    sentence: str


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """Something to read, watch or use."""

    title: str
    url: str


@dataclass(frozen=True, slots=True, eq=False)
class Organisation:
    """The leads and resources of one organisation."""

    leads: tuple[Lead, ...]
    resources: tuple[Resource, ...]

    @classmethod
    def load(cls, folder: RuleFolder) -> "Organisation":
        """The organisation of a folder; RuleFileError where a lead is missing or a resource is no web address."""
        table = folder.table("organisation.toml", ("no_lead", "lead", "resource"))
        leads = []
        for lead in table.each("lead", ("id", "title", "name", "role", "contact")):
            name, role, contact = (lead.optional(key) for key in ("name", "role", "contact"))
            known = ", ".join(filter(None, (name, role, contact)))
            sentence = f"{known}." if known else table.text("no_lead")
            leads.append(Lead(lead.text("id"), lead.text("title"), name, role, contact, sentence))
        if tuple(lead.id for lead in leads) != LEADS:
            raise RuleFileError(f"{table.where}: its leads are {', '.join(LEADS)}; a name may be blank.")
        resources = []
        for resource in table.each("resource", ("title", "url")):
            if not is_web_address(resource.text("url")):
                raise RuleFileError(f"{resource.where}, url: is not a web address that begins with https://.")
            resources.append(Resource(resource.text("title"), resource.text("url")))
        return cls(tuple(leads), tuple(resources))
