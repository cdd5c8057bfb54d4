"""Makes the items of the toy tasks by rule. Pure Python; the same seed gives the same items on every machine.

`translation` (into an invented language with cases, agreement and verb-final order), `facts` (question answering
over short facts) and `sums` (word problems). `partition` says which prompts may be pre-trained on, and which are
for training, validation and testing.
"""
