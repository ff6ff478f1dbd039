"""What the doors of published and exact counts answer."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.counts.exact import BY

_Chosen = Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9_:+ -]*$")] | None


class BreakdownQuery(BaseModel):
    """Which published rows. Filters choose among them; a parameter that is not known is refused."""

    model_config = ConfigDict(extra="forbid")

    period: _Chosen = Field(
        None,
        description="As the table is published: `2026-10`, `2026-27-Q2` or `2026-27`; `all`; the newest by default.",
    )
    specialty: _Chosen = Field(None, description="Rows of this treatment function code.")
    rtt_group: _Chosen = Field(None, description="Rows of this RTT specialty group.")
    contact_type: _Chosen = Field(None)
    outcome: _Chosen = Field(None)
    imd_decile: _Chosen = Field(None)
    imd_quintile: _Chosen = Field(None)
    core20: _Chosen = Field(None)
    category: _Chosen = Field(None, description="Rows of this sex, age band, wait …")
    format: Literal["json", "csv"] | None = Field(None, description="Instead of the `Accept` header.")


class CountsQuery(BaseModel):
    """Which exact counts."""

    model_config = ConfigDict(extra="forbid")

    month: str = Field(
        max_length=7,
        description="A sealed month, `YYYY-MM`.",
        examples=["2026-10"],
        json_schema_extra={"pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"},
    )
    by: Literal[BY] = Field(description="The one dimension to count by.")  # type: ignore[valid-type]


class PublishedTable(BaseModel):
    """One table of the closed list."""

    table: str = Field(description="Its name in `/v1/breakdowns/{table}`.", examples=["specialty_core20"])
    number: str = Field(examples=["T1"])
    period: Literal["month", "quarter", "year"] = Field(description="Financial years, and their quarters.")
    shows: str
    leaves_out: str
    value: str = Field(description="What the column `value` holds.")
    periods: list[str] = Field(description="Published so far, oldest first.", examples=[["2026-09", "2026-10"]])


class Breakdowns(BaseModel):
    """The closed list of tables. No other will ever be published."""

    tables: list[PublishedTable]


class PublishedRow(BaseModel):
    """One published figure. What does not apply is null; a hidden figure has `suppressed`, and zero is a true zero."""

    period: str = Field(examples=["2026-10"])
    organisation: str | None = Field(description="ODS code of the organisation.")
    specialty: str | None = Field(
        description="Treatment function code; `all_other` for all without a row of their own. Null with `rtt_group`"
        " set: the other specialties of that group. Both null: the whole organisation."
    )
    rtt_group: str | None = Field(description="RTT specialty group, without its specialties that have their own row.")
    contact_type: str | None
    outcome: str | None
    imd_edition: str = Field(examples=["IoD2025"])
    imd_decile: str | None = Field(description="`1` (most deprived) to `10`, or `no_decile`.")
    imd_quintile: str | None = Field(description="`1` (most deprived) to `5`, or `no_decile`.")
    core20: Literal["true", "false", "no_decile"] | None
    n: int | None = Field(description="Count, to the nearest 5. Null when hidden.")
    value: int | None = Field(description="Whole percent, or a rate per 1,000: the table's `value` says which.")
    lower_ci: int | None = Field(description="Lower 95% limit of `value`, from published parts.")
    upper_ci: int | None = Field(description="Upper 95% limit of `value`, from published parts.")
    suppressed: Literal["*", "w"] | None = Field(
        description="`*`: a count from 1 to 7. `w`: withheld, because it would give such a count away."
    )
    rounding_rule: str
    dimension: str | None = Field(description="What `category` is of: sex, age_band, ethnic_category, wait …")
    category: str | None
    client: str | None
    synthetic: bool = Field(description="True for the invented data of the demonstration.")
    specialty_name: str | None = Field(description="Name of the treatment function, or of the RTT group.")


class SeriesBreak(BaseModel):
    """Where the edition changes."""

    period: str = Field(description="The first period on the other edition.")
    sentence: str


class Publication(BaseModel):
    """One sealing of one table."""

    period: str
    sealed_at: str = Field(description="When it was published; it never changes after.")
    edition: str
    release: str = Field(description="The data release that was current at sealing.")
    rule: str


class Breakdown(BaseModel):
    """Published rows of one table, and what they show."""

    table: str
    number: str
    sentence: str = Field(description="What the table shows and what it leaves out, in English.")
    value: str = Field(description="What the column `value` holds.")
    rule: str
    publications: list[Publication] = Field(description="One for each period, oldest first.")
    breaks: list[SeriesBreak] = Field(description="Where figures before and after must not be compared.")
    rows: list[PublishedRow]


class ExactRow(BaseModel):
    """An exact count. Confidential: a count of one can be a person."""

    value: str
    n: int


class ExactCounts(BaseModel):
    """Exact counts of a sealed month by one dimension. Each read is on record."""

    month: str
    by: str
    state: Literal["sealed"]
    imd_edition: str
    rows: list[ExactRow]
    total: int
    late: int = Field(description="Contacts that came after the month was closed: in none of these counts.")
