# %% [markdown]
# # From records to decision
#
# No model is needed here. [Records](../records.md) say what a model answered to each test item before and after
# fine-tuning, how good that was, and how confident each score was. These are of the [example](../example.md);
# yours may come from any pipeline ([from log-probs to records](../elsewhere.md)). Run it from the root of a
# clone.

# %%
import pandas as pd

import aftertune

file = "studies/results/squad_sentences.parquet"
records = pd.read_parquet(file)
print(len(records), "records")
records.loc[records["split"] == "test", ["epoch", "item_id", "output", "references", "quality", "scores"]].iloc[
    [0, -1]
]

# %% [markdown]
# ## Which score?

# %%
result = aftertune.analyze(file, out="runs/analysis")
for recommendation in result.summary.recommendations:
    print(*recommendation.sentences, sep="\n")

# %%
change = result.tables["change"].query("effect == 'adjusted' and `from` == 'before'")
change.set_index("score")[["value_from", "value_to", "mean", "ci_low", "ci_high", "verdict", "usable"]].round(2)

# %% [markdown]
# ## How many answers to review?
#
# The report has a slider for it. By hand: the mean quality of what is kept, if the least confident are reviewed.

# %%
(chosen,) = result.tables["recommendation"].query("role == 'recommended'")["score"]
after = records[(records["split"] == "test") & records["selected"]]
confidence = pd.Series([row[chosen] for row in after["scores"]], index=after.index)
ranked = after.loc[confidence.sort_values(ascending=False).index]
pd.DataFrame(
    {
        "share reviewed": share,
        "mean quality of the rest": ranked["quality"].head(round(len(ranked) * (1 - share))).mean(),
        "if reviewed at random": ranked["quality"].mean(),
    }
    for share in (0.1, 0.2, 0.3, 0.5)
).round(3)

# %% [markdown]
# These shares come from the items that chose the score, so they are a little too good; the recommendation's are
# not.
#
# ## Does the old threshold still hold?

# %%
told = result.tables["recommendation"].query("role == 'recommended'")
told[["score", "threshold_before", "review_share", "sent_after", "sent_after_low", "sent_after_high"]]

# %% [markdown]
# `review_share` of the answers lay below `threshold_before` before fine-tuning, `sent_after` do after it. Where
# these differ, the old number sends another share to review than you think.
#
# ## Was it enough data?
#
# A plan like these records: the test items with which each of these would be shown in 80 of 100 studies, by the
# number of training runs; – where more items alone cannot do it.

# %%
plan = aftertune.plan(like=file)[0]
needed = pd.DataFrame(plan.needed).rename_axis("training runs")
needed.map(lambda items: "–" if pd.isna(items) else f"{items:,.0f}")
