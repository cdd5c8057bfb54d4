# %% [markdown]
# # From records to decision
#
# No model here: the records of an audit, as any pipeline can write them, and what one decides from them.

# %%
from pathlib import Path

import pandas as pd

import aftertune

file = next(Path("studies/results").glob("*.parquet"))
records = pd.read_parquet(file)
records.head(3)
