# %% [markdown]
# # Inside SFTTrainer
#
# A callback measures confidence before the first step and after every epoch, and leaves the training as it is.
# Here a tiny Llama that comes with the package is trained by TRL ([more on the callback](../trainer.md)).

# %%
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

import aftertune
from aftertune.models import embedded

folder = embedded.path("tiny-llama-qa")
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(folder)
task = aftertune.load_task("toy_qa")
train = Dataset.from_list([{"prompt": item.prompt, "completion": " " + item.target} for item in task.train])
train[0]

# %% [markdown]
# ## The callback
#
# It takes a file of test items, a task by name, or, as here, items. The prompts are the same as those of the
# training.

# %%
confidence = aftertune.ConfidenceCallback(
    task.test, "runs/sft", task_name="toy_qa", quality="exact_text", rely_on="mean_token_logprob"
)
trainer = SFTTrainer(
    model=model,
    args=SFTConfig(
        "trained",
        num_train_epochs=3,
        per_device_train_batch_size=16,
        learning_rate=5e-4,
        bf16=False,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
    ),
    train_dataset=train,
    processing_class=tokenizer,
    callbacks=[confidence],
)
_ = trainer.train()

# %% [markdown]
# ## What happened to the scores
#
# The folder now holds one file of records for each epoch. `aftertune report runs/sft` makes the report; in
# Python:

# %%
result = aftertune.analyze("runs/sft", out="runs/sft-report", rely_on="mean_token_logprob")
correlation = result.tables["correlation"]
correlation.pivot(index="score", columns="epoch", values="adjusted").round(2)

# %% [markdown]
# Each number is a tie-adjusted rank correlation of a score with the quality of the answers; epoch 0 is before
# fine-tuning. The verdicts compare it with the last epoch:

# %%
change = result.tables["change"].query("effect == 'adjusted' and `from` == 'before'")
change.set_index("score")[["value_from", "value_to", "mean", "ci_low", "ci_high", "verdict", "usable"]].round(2)

# %% [markdown]
# Several seeds may write to one folder; with two or more the verdict is about the mean over trainings.
