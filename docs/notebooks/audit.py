# %% [markdown]
# # Audit in five minutes
#
# Two checkpoints and a test set: which confidence scores can still be trusted? Everything here comes with the
# package, a tiny T5 and a toy task. With your own model only the names change ([audit](../audit.md)).
#
# ## A fine-tuned model
#
# You have one already. To have something to audit here, this trains the tiny T5 for some seconds.

# %%
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import aftertune
from aftertune.models import embedded

folder = embedded.path("tiny-t5-qa")
model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(folder)
items = aftertune.load_task("toy_qa").train

torch.manual_seed(0)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for _ in range(2):
    for start in range(0, len(items), 16):
        some = items[start : start + 16]
        batch = tokenizer([item.prompt for item in some], padding=True, return_tensors="pt")
        labels = tokenizer([item.target for item in some], padding=True, return_tensors="pt").input_ids
        model(**batch, labels=labels.masked_fill(labels == tokenizer.pad_token_id, -100)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

model.save_pretrained("fine-tuned")
_ = tokenizer.save_pretrained("fine-tuned")

# %% [markdown]
# ## The audit
#
# Both checkpoints answer the 200 test items of the task. The judge says which answers are right: those with every
# word of the reference and no other. `rely_on` names the score that is in use today.

# %%
result = aftertune.audit(
    "embedded:tiny-t5-qa",
    "fine-tuned",
    task="toy_qa",
    judge="token_f1",
    rely_on="mean_token_logprob",
    out="runs/audit",
)
change = result.tables["change"].query("effect == 'adjusted' and `from` == 'before'")
change.set_index("score")[["value_from", "value_to", "mean", "ci_low", "ci_high", "verdict", "usable"]].round(2)

# %% [markdown]
# Each row is a score: its rank correlation with quality before and after, the change (`mean`) with its interval,
# and the [verdict](../statistics.md#verdicts). Tiny models and 200 items: expect that much stays inconclusive.
#
# ## The answer in words

# %%
for recommendation in result.summary.recommendations:
    print(*recommendation.sentences, sep="\n")

# %% [markdown]
# ## Can the numbers be believed?
#
# [Checks](../checks.md) look for what would spoil them. Those that are not green:

# %%
checks = result.tables["checks"]
print(len(checks), "checks")
for check in checks[checks["level"] != "ok"].itertuples():
    print(f"{check.level}: {check.check}: {check.message}")

# %% [markdown]
# ## Before and after, and the answers
#
# `report.html` in the folder has all of it as pictures, with every item ([how to read it](../report.md)). The
# tables are data frames: for example the answers that moved most into over-confidence, sure of themselves and
# worse.

# %%
moved = result.tables["moved_items"]
over = moved[(moved["side"] == "overconfident") & (moved["score"] == "mean_token_logprob")]
over[["item_id", "references", "output_from", "output_to", "confidence_rank_from", "confidence_rank_to"]].round(2)

# %%
print("open", result.report)
