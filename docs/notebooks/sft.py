# %% [markdown]
# # Inside SFTTrainer

# %%
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

import aftertune
from aftertune.models import embedded

path = embedded.path("tiny-llama-qa")
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(path)
task = aftertune.load_task("toy_qa")
train = Dataset.from_list([{"prompt": item.prompt, "completion": " "+item.target} for item in task.train])
print(train[0], model.config.max_position_embeddings, tokenizer.eos_token, tokenizer.pad_token, len(task.test), len(task.validation))

# %%
confidence = aftertune.ConfidenceCallback(task.test[:150], "runs/sft", quality="token_f1", task_name="toy_qa", rely_on="mean_token_logprob")
trainer = SFTTrainer(
    model=model,
    args=SFTConfig("trained", num_train_epochs=3, per_device_train_batch_size=16, learning_rate=5e-4, max_length=64, report_to=[], seed=0, logging_strategy="no", save_strategy="no", use_cpu=True, bf16=False),
    train_dataset=train,
    processing_class=tokenizer,
    callbacks=[confidence],
)
trainer.train()
# %%
import pandas as pd
result = aftertune.analyze("runs/sft", out="runs/sft-report", rely_on="mean_token_logprob")
print(result)
print(result.tables["recommendation"].T.to_string())
