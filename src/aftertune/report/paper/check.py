"""What one check of the paper's text against its tables says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A statement of the paper and what its tables hold.

    Attributes
    ----------
    tables : which tables it is about.
    said : the statement, quoted or in short.
    held : what the tables hold.
    agrees : whether the tables bear the statement out.
    remark : one sentence for the reader.
    """

    tables: str
    said: str
    held: str
    agrees: bool
    remark: str
