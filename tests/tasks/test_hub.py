"""The hub's code, with folders that have the hub's schemas in the place of the datasets."""

import gzip
import json
import sys

import datasets
import huggingface_hub.constants
import pytest

from aftertune.errors import InputError
from aftertune.tasks import Sizes, eng_afr, load_task

from .conftest import gsm8k_row, squad_row, write_jsonl


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No network, and a cache of its own."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def configurations(folder, files):
    """A dataset card that names configurations and splits, as on the hub: {config: {split: path}}."""
    lines = ["---", "configs:"]
    for config, splits in files.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, path in splits.items():
            lines += [f"  - split: {split}", f"    path: {path}"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")


@pytest.fixture
def squad(tmp_path):
    folder = tmp_path / "squad"
    write_jsonl(folder / "train.jsonl", [squad_row("train", k, hub=True) for k in range(90)])
    write_jsonl(folder / "validation.jsonl", [squad_row("dev", k, hub=True) for k in range(12)])
    return {"rajpurkar/squad": str(folder)}


@pytest.fixture
def gsm8k(tmp_path):
    folder = tmp_path / "gsm8k"
    write_jsonl(folder / "main" / "train.jsonl", [gsm8k_row("train", k) for k in range(40)])
    write_jsonl(folder / "main" / "test.jsonl", [gsm8k_row("test", k) for k in range(9)])
    files = {"train": "main/train.jsonl", "test": "main/test.jsonl"}
    configurations(folder, {"main": files, "socratic": files})
    return {"openai/gsm8k": str(folder)}


@pytest.fixture
def flores(tmp_path):
    folder = tmp_path / "flores"
    rows = {code: [{"id": str(k), "text": f"{code} {k}"} for k in range(8)] for code in ("eng_Latn", "afr_Latn")}
    rows["afr_Latn"].reverse()
    for code, some in rows.items():
        write_jsonl(folder / "devtest" / f"{code}.jsonl", some)
    configurations(folder, {code: {"devtest": f"devtest/{code}.jsonl"} for code in rows})
    return {"openlanguagedata/flores_plus": str(folder)}


def test_squad(squad):
    splits = load_task("squad", hub=squad, sizes=Sizes(train=50, validation=6))
    # half of the 30 paragraphs may be held out for validation, of which 6 are wanted
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [45, 6, 12]
    assert {e.id for e in splits.test} == {f"dev-{k}" for k in range(12)}
    assert splits.test[0].references[1].startswith("the answer ")
    held = [e.prompt.split("\n")[0] for e in splits.validation]
    assert len(set(held)) == 6  # one question from each of six paragraphs
    assert not {e.prompt.split("\n")[0] for e in splits.train} & set(held)
    assert splits.notes == (
        "train has 45 of the 50 items asked for",
        "test has 12 of the 1,000 items of the paper",
    )


def test_gsm8k(gsm8k):
    splits = load_task("gsm8k", hub=gsm8k, sizes=Sizes(train=20, validation=5, test=9))
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [20, 5, 9]
    assert {e.id for e in splits.test} == {f"gsm8k-test-{k:05d}" for k in range(9)}


def test_local_files_and_the_hub_give_the_same_items(gsm8k, data_dir):
    lines = (data_dir / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()[:9]
    rows = [json.loads(line) for line in lines]
    folder = data_dir / "same"
    write_jsonl(folder / "train.jsonl", rows)
    write_jsonl(folder / "test.jsonl", rows)
    configurations(folder, {"main": {"train": "train.jsonl", "test": "test.jsonl"}})
    only_test = Sizes(train=0, validation=0, test=9)
    write_jsonl(data_dir / "gsm8k" / "test.jsonl", rows)
    ours = load_task("gsm8k", data_dir=data_dir, sizes=only_test)
    assert ours == load_task("gsm8k", hub={"openai/gsm8k": str(folder)}, sizes=only_test)


def test_eng_afr_with_a_dataset_in_the_place_of_nllb(flores, tmp_path):
    rows = [
        {"translation": {"afr_Latn": f"sin {k}", "eng_Latn": f"sentence {k}"}, "laser_score": 1.1}
        for k in range(30)
    ]
    write_jsonl(tmp_path / "nllb" / "train.jsonl", rows)
    hub = {**flores, "allenai/nllb": str(tmp_path / "nllb")}
    splits = load_task("eng_afr", hub=hub, sizes=Sizes(train=10, validation=5))
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [10, 5, 8]
    k = int(splits.train[0].id.rpartition("-")[2])
    assert splits.train[0].prompt.split("\n")[1] == f"English: sentence {k}"
    assert splits.train[0].target == f"sin {k}"
    for example in splits.test:
        k = int(example.id.rpartition("-")[2])
        assert example.prompt == f"Translate English to Afrikaans.\nEnglish: eng_Latn {k}\nAfrikaans:"
        assert example.target == f"afr_Latn {k}"  # joined on the id, though the files have another order


def test_eng_afr_reads_the_file_of_nllbs_loading_script(flores, tmp_path, monkeypatch):
    """Columns: Afrikaans, English, LASER score, language scores, sources and addresses."""
    rest = "1.2\t0.99\t0.98\tcrawl\t_\tcrawl\t_"
    lines = [f'sin "{k}\tsentence {k}\t{rest}' for k in range(20)]
    lines[3] = f"\tsentence\t{rest}"
    lines[4] = "no tab"
    path = tmp_path / "afr_Latn-eng_Latn.gz"
    with gzip.open(path, "wt", encoding="utf-8", newline="") as stream:
        stream.write("\n".join(lines) + "\n")
    monkeypatch.setattr(eng_afr, "NLLB_FILE", path.as_uri())
    splits = load_task("eng_afr", hub=flores, sizes=Sizes(train=9, validation=5))
    items = {e.id: e for e in (*splits.train, *splits.validation)}
    assert len(items) == 14
    assert not {"eng_afr-train-00003", "eng_afr-train-00004"} & set(items)
    for identifier, example in items.items():
        k = int(identifier.rpartition("-")[2])
        assert (example.prompt.split("\n")[1], example.target) == (f"English: sentence {k}", f'sin "{k}')
    monkeypatch.setattr(eng_afr, "NLLB_LINES", 2)
    few = load_task("eng_afr", hub=flores, sizes=Sizes(train=1, validation=1))
    assert {few.train[0].id, few.validation[0].id} == {"eng_afr-train-00000", "eng_afr-train-00001"}


def test_flores_that_does_not_match(flores, tmp_path):
    write_jsonl(tmp_path / "flores" / "devtest" / "afr_Latn.jsonl", [{"id": "0", "text": "een"}])
    with pytest.raises(InputError, match=r"flores: row 2: no Afrikaans sentence has the id '1'"):
        load_task("eng_afr", hub=flores, sizes=Sizes(train=0, validation=0))


@pytest.mark.parametrize(
    ("name", "dataset"),
    [("squad", "rajpurkar/squad"), ("gsm8k", "openai/gsm8k"), ("eng_afr", "openlanguagedata/flores_plus")],
)
def test_no_network(name, dataset):
    with pytest.raises(InputError, match=f"the dataset {dataset} cannot be loaded .*--data-dir") as caught:
        load_task(name)
    assert "\n" not in str(caught.value)


def test_no_network_for_nllb(flores, tmp_path, monkeypatch):
    whole = gzip.compress(b"a\tb\n" * 1000)
    contents = {"nothing": None, "cut": whole[:-12], "damaged": whole[:10] + b"\xff" * 20, "plain": b"a\tb\n"}
    for name, content in contents.items():
        path = tmp_path / f"{name}.gz"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setattr(eng_afr, "NLLB_FILE", path.as_uri())
        with pytest.raises(InputError, match=r"the dataset allenai/nllb .* cannot be loaded .*--data-dir"):
            load_task("eng_afr", hub=flores)


def test_a_dataset_without_the_configuration(squad):
    with pytest.raises(InputError, match=r"the dataset .*squad cannot be loaded \(BuilderConfig 'main' not found"):
        load_task("gsm8k", hub={"openai/gsm8k": squad["rajpurkar/squad"]})


def test_a_dataset_with_other_columns(tmp_path):
    write_jsonl(tmp_path / "other" / "validation.jsonl", [{"id": "1", "passage": "p", "question": "q"}])
    with pytest.raises(InputError, match=r"other: row 1: no column 'answers'"):
        load_task("squad", hub={"rajpurkar/squad": str(tmp_path / "other")}, sizes=Sizes(train=0, validation=0))


def test_without_the_package_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'aftertune\[hub\]', or give local files with --data-dir"):
        load_task("squad")
