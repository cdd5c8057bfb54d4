# %% [markdown]
# # Audit in five minutes
#
# Two checkpoints and a test set: which confidence scores can still be trusted? Everything here comes with the package,
# a tiny T5 and a toy task; with your own model only the names change ([audit](../audit.md)).
#
# ## A fine-tuned model
#
# You have one already. To have something to audit here, this trains the tiny T5 for a few seconds.

# %%
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import aftertune
from aftertune.models import embedded

before = embedded.path("tiny-t5-qa")
train = aftertune.load_task("toy_qa").train
model = AutoModelForSeq2SeqLM.from_pretrained(before, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(before)

torch.manual_seed(0)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
model.train()
for start in range(0, len(train), 16):
    items = train[start : start + 16]
    batch = tokenizer([item.prompt for item in items], padding=True, return_tensors="pt")
    labels = tokenizer([item.target for item in items], padding=True, return_tensors="pt").input_ids
    labels[labels == tokenizer.pad_token_id] = -100
    model(**batch, labels=labels).loss.backward()
    optimizer.step()
    optimizer.zero_grad()

model.save_pretrained("fine-tuned")
tokenizer.save_pretrained("fine-tuned")
print(len(train), "items, last loss of training seen")

# %% [markdown]
# ## The audit
#
# Both checkpoints answer the same 150 test items. `judge` says which answers are right: here those with every word of
# the reference and no other.

# %%
result = aftertune.audit(
    "embedded:tiny-t5-qa", "fine-tuned", task="toy_qa", items=150, judge="token_f1", out="runs/audit"
)
result

# %%
import json
print(json.dumps(json.loads((result.out/"summary.json").read_text())["recommendation"], indent=1))
print(list((result.out/"figures").iterdir()))
