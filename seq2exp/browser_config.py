"""What is made of regions for genome browsers."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from seq2exp.config_types import NonNegativeInt, Strict

Label = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9 ._+-]*$", max_length=40)]


def _address(text: str) -> str:
    if not re.fullmatch(r"[^\s@]+@[^\s@]+", text):
        raise ValueError("is no address; write it as name@example.org")
    return text


Email = Annotated[str, Field(max_length=100), AfterValidator(_address)]


class BrowserConfig(Strict):
    """Files that genome browsers open, beside the BED, narrowPeak and bigWig of every run."""

    parts: bool = True
    """Whether the mask's parts have bigWigs too."""
    igv_loci: NonNegativeInt = 4
    """Test loci on the page of each run, fewer where there are fewer; 0: no page."""
    hub: bool = False
    """Whether there is a UCSC track hub of all runs."""
    name: Label = "seq2exp"
    """What browsers call the hub."""
    email: Email | None = None
    """Whom to ask about the hub; UCSC wants to know."""

    @model_validator(mode="after")
    def _hub_has_an_address(self) -> Self:
        if self.hub and self.email is None:
            raise ValueError("hub: true needs browser.email, an address to ask about the hub")
        return self
