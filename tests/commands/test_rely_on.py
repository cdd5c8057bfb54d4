"""--rely-on in every command: an unknown score is one line that lists the scores, a known one comes first."""

from __future__ import annotations

import csv
import json

import pytest

from aftertune.cli.main import main
from aftertune.commands.callback import ConfidenceCallback
from aftertune.errors import InputError
from aftertune.records.records import to_jsonl
from aftertune.study.config import read_study
from record_samples import study as records


def test_analyze(tmp_path, capsys):
    file = tmp_path / "records.jsonl"
    to_jsonl(records(), file)
    command = ["analyze", str(file), "--out", str(tmp_path / "out"), "--resamples", "200", "--rely-on"]
    assert main([*command, "nothing"]) == 2
    assert capsys.readouterr().err == "aftertune: no score is called 'nothing': rely on one of up, down\n"
    assert main([*command, "down"]) == 0
    with (tmp_path / "out" / "tables" / "recommendation.csv").open(encoding="utf-8") as table:
        roles = [(row["role"], row["score"]) for row in csv.DictReader(table)]
    assert roles == [("relied on", "down"), ("recommended", "up")]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["rely_on"] == "down"


def test_audit_before_anything_is_read_or_measured(tmp_path, capsys):
    out = tmp_path / "out"
    models = ["embedded:tiny-llama-qa", "embedded:tiny-llama-sums"]
    command = ["audit", *models, "--task", "toy_qa", "--out", str(out), "--score", "mean_token_logprob"]
    assert main([*command, "--rely-on", "mean_token_entropy"]) == 2
    assert "no score is called 'mean_token_entropy': rely on one of mean_token_logprob" in capsys.readouterr().err
    assert not (out / "evidence").exists()


def test_study_file(tmp_path):
    text = "name: s\nmodels: [{name: m, path: p}]\ntasks: [toy_qa]\nrely_on: {}\n"
    file = tmp_path / "study.yaml"
    file.write_text(text.replace("{}", "mean_token_logprob"))
    assert read_study(file).rely_on == "mean_token_logprob"
    file.write_text(text.replace("{}", "mean_token"))
    with pytest.raises(InputError, match="line 4: unknown score 'mean_token'"):
        read_study(file)


def test_callback(tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text('{"input": "a", "target": "b"}\n')
    with pytest.raises(InputError, match="no score is called 'x': rely on one of mean_token_logprob"):
        ConfidenceCallback(file, tmp_path / "out", scores=["mean_token_logprob"], rely_on="x")
