"""Toy tasks made by rule, so that everything can be tried with nothing but the package.

`translation` (into an invented language with cases, agreement and verb-final order), `facts` (question
answering over short facts) and `sums` (word problems). Pure Python; the same seed gives the same items on
every machine. `partition` says which prompts may be pre-trained on, and which are for training,
validation and testing.
"""
