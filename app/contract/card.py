"""What `POST /card` answers."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.contract.problems import FieldCode


class CardLink(BaseModel):
    """Where a card is, for 15 minutes. Whoever holds the link can open it: hand it to the clinician's browser alone."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "card/kq3…", "expires_at": "2026-11-22T10:15:00+00:00", "warnings": []}]
        }
    )

    url: str = Field(description="Relative to `POST /card`. Holds no postcode and no signal, even sealed.")
    expires_at: datetime
    warnings: list[FieldCode] = Field(description="What was noticed about the request's values.")
