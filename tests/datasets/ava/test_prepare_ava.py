"""prepare.py end to end against a server on this machine, up to the clips of a config that nobody
edited.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tqdm import tqdm

from ava_det.config import load_config
from ava_det.datasets.ava.sources import AVA, Table
from ava_det.tasks.splits import build_split, build_train_loader
from tests.support.range_server import Server
from tests.support.tiny_ava import MOVIES, build_table, movie_ids

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted((ROOT / "configs" / "ava").rglob("*.yaml"))
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def movie_bodies(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], Table]:
    """The files of the tiny AVA, encoded once, at addresses that begin with SERVER."""
    server = Server()
    server.url = "SERVER"
    table = build_table(server, tmp_path_factory.mktemp("movies"))
    return server.files, table


@pytest.fixture
def table(server: Server, movie_bodies: tuple[dict[str, bytes], Table]) -> Table:
    files, table = movie_bodies
    server.files |= files

    def move(url: str) -> str:
        return url.replace("SERVER", server.url)

    return dataclasses.replace(
        table,
        sources=tuple(
            dataclasses.replace(source, url=move(source.url)) for source in table.sources
        ),
        movies={
            kind: dataclasses.replace(movies, url=move(movies.url))
            for kind, movies in table.movies.items()
        },
    )


@pytest.fixture
def run(
    prepare: ModuleType,
    table: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """`python data/ava/prepare.py ...` into data/ava of a checkout, where configs look for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prepare, "AVA", table)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = prepare.main(["--output", "data/ava", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def all_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_one_command_makes_what_the_configs_read(run: Run, server: Server, tmp_path: Path) -> None:
    code, out, err = run("--parts", "annotations", "boxes", "train", "val", "test", "ava-kinetics")
    assert code == 0, err
    for split, names in MOVIES.items():
        assert f"{split}: {len(names)} of {len(names)} videos" in out
        assert all((tmp_path / "data/ava/videos" / name).is_file() for name in names)
    for config in CONFIGS:
        for version in ("2.1", "2.2"):
            data = load_config(config, [f"data.ava_version={version}"]).data
            paths = [data.video_dir, data.label_map]
            for section in (data.train, data.val, data.test):
                paths += [section.annotations, section.excluded, section.boxes]
            missing = {
                path for path in paths if path not in (None, "gt") and not Path(path).exists()
            }
            assert not missing, config.name

    server.log.clear()
    assert run("--parts", "train", "val", "test")[0] == 0
    assert server.fetched() == []


@pytest.mark.parametrize("version", ["2.1", "2.2"])
def test_training_clips_come_from_it_without_an_edit(run: Run, version: str) -> None:
    assert run()[0] == 0
    overrides = [
        f"data.ava_version={version}",
        "train.batch_size=2",
        "train.num_workers=0",
        "data.crop_size=32",
    ]
    overrides += ["data.train_short_side=[32,32]"]
    config = load_config(ROOT / "configs/ava/slowfast_r50_4x16.yaml", overrides)
    split = build_split(config, "train", torch.device("cpu"))
    assert {keyframe.video_id for keyframe in split.keyframes} == set(movie_ids("train"))
    assert len(split.keyframes) == 3 * len(MOVIES["train"]) - 1  # one is excluded
    batch = next(iter(build_train_loader(config, split)))
    assert batch.fast.shape == (2, 3, 32, 32, 32) and batch.labels[:, 11].all()
    val = build_split(config, "val", torch.device("cpu"))
    assert val.recall == 1.0


def test_a_dry_run_writes_nothing_and_prints_what_there_is(
    run: Run, server: Server, tmp_path: Path
) -> None:
    code, out, err = run("--dry-run")
    assert code == 0, err
    assert not (tmp_path / "data").exists()
    movies = [f"/trainval/{name}" for split in ("train", "val") for name in MOVIES[split]]
    for path in movies:
        assert (
            f"{server.url}{path}  videos/{path.rpartition('/')[2]}  {len(server.files[path])} "
            "bytes\n" in out
        )
    assert server.fetched() == [
        "/s3.amazonaws.com/ava-dataset/annotations/ava_file_names_trainval_v2.1.txt"
    ]
    sizes = [int(line.split()[2]) for line in out.splitlines() if line.startswith("http")]
    assert f"to fetch: {tqdm.format_sizeof(sum(sizes), 'B')}\n" in out and "FFFFFFFFFFF" not in out

    assert run("--parts", "val")[0] == 0
    out = run("--dry-run", "--parts", "val", "test")[1]
    assert "videos/DDDDDDDDDDD.mkv" in out and "bytes, there" in out
    assert "BBBBBBBBBBB" not in out and "videos/FFFFFFFFFFF.webm" in out
    assert "annotations/ava_train_v2.2.csv  from downloads/ava_v2.2.zip, there" in out


def test_without_network_there_is_one_sentence_and_a_list(
    run: Run, prepare: ModuleType, table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = [
        dataclasses.replace(source, url="http://127.0.0.1:9/" + source.path)
        for source in table.sources
    ]
    monkeypatch.setattr(prepare, "AVA", dataclasses.replace(table, sources=tuple(moved)))
    code, out, err = run()
    assert code == 2 and err.count("\n") == 1 and "cannot be fetched (Connection refused)" in err
    assert "data/ava/README.md" in err
    assert all_files(tmp_path) == set()
    code, out, err = run("--dry-run")
    assert (
        code == 0
        and "no network" in out
        and "5 movies, named in annotations/ava_file_names_trainval" in out
    )
    assert "http://127.0.0.1:9/downloads/ava_v2.2.zip  downloads/ava_v2.2.zip  size unknown" in out


def test_files_placed_by_hand_need_no_network(
    run: Run,
    server: Server,
    prepare: ModuleType,
    table: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "data/ava"
    (folder / "videos").mkdir(parents=True)
    (folder / "downloads").mkdir()
    (folder / "annotations").mkdir()
    for source in table.sources:
        (folder / source.path).write_bytes(server.files[source.url.removeprefix(server.url)])
    for name in MOVIES["train"] + MOVIES["val"]:
        (folder / "videos" / name).write_bytes(server.files[f"/trainval/{name}"])
    monkeypatch.setattr(prepare, "AVA", relocate(table, server.url, "http://127.0.0.1:9"))
    code, out, err = run()
    assert code == 0, err
    assert (
        "the sizes of 5 files that are there are not compared" in out
        and "train: 3 of 3 videos" in out
    )


def relocate(table: Table, old: str, new: str) -> Table:
    sources = tuple(
        dataclasses.replace(source, url=source.url.replace(old, new)) for source in table.sources
    )
    movies = {
        kind: dataclasses.replace(entry, url=entry.url.replace(old, new))
        for kind, entry in table.movies.items()
    }
    return dataclasses.replace(table, sources=sources, movies=movies)


def test_movies_that_fail_are_named_and_the_others_are_fetched(
    run: Run, server: Server, tmp_path: Path
) -> None:
    gone = [f"/trainval/{name}" for name in MOVIES["train"][:2]]
    server.status |= dict.fromkeys(gone, 404)
    code, _, err = run()
    assert code == 2
    for path in gone:
        assert f"error: {server.url}{path}: the server answered 404 Not Found\n" in err
    assert "2 files are missing or wrong" in err
    assert (tmp_path / "data/ava/videos" / MOVIES["train"][2]).is_file()
    server.status.clear()
    server.log.clear()
    assert run()[0] == 0
    assert sorted(server.fetched()) == sorted(gone)


def test_a_box_list_that_is_gone_does_not_keep_the_movies_away(run: Run, server: Server) -> None:
    server.status |= {
        path: 403 for path in server.files if path.endswith(("ava_val_predicted_boxes.csv", ".tar"))
    }
    code, out, err = run()
    assert code == 2 and err.count("403 Forbidden") == 2 and "train: 3 of 3 videos" in out


def test_a_copy_that_broke_off_is_named_and_left_alone(run: Run, tmp_path: Path) -> None:
    assert run()[0] == 0
    short = tmp_path / "data/ava/videos" / MOVIES["val"][0]
    body = short.read_bytes()
    short.write_bytes(body[:100])
    code, _, err = run()
    assert code == 2 and f"{MOVIES['val'][0]}: 100 bytes, expected {len(body)}" in err
    assert short.read_bytes() == body[:100]


def test_annotations_that_are_not_the_official_ones_are_named(run: Run, tmp_path: Path) -> None:
    assert run("--parts", "annotations")[0] == 0
    rows = tmp_path / "data/ava/annotations/ava_train_v2.2.csv"
    rows.write_text(rows.read_text() + "\n")
    code, _, err = run("--parts", "annotations")
    assert code == 2 and "ava_train_v2.2.csv: expected the official file, git blob" in err


@pytest.mark.parametrize("kind", ["trainval", "test"])
def test_a_list_that_is_too_short_or_has_other_names_is_refused(
    run: Run,
    server: Server,
    table: Table,
    prepare: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    sources = [dataclasses.replace(source, blob=None) for source in table.sources]
    monkeypatch.setattr(prepare, "AVA", dataclasses.replace(table, sources=tuple(sources)))
    path = f"/s3.amazonaws.com/ava-dataset/annotations/ava_file_names_{kind}_v2.1.txt"
    names = server.files[path].decode().splitlines()
    server.files[path] = "\n".join(names[1:]).encode()
    code, _, err = run("--parts", "annotations")
    assert code == 2 and f"expected {len(names)} names, found {len(names) - 1}" in err
    Path(f"data/ava/annotations/ava_file_names_{kind}_v2.1.txt").unlink()
    server.files[path] = b"../../evil.mp4\n"
    code, _, err = run("--parts", "annotations")
    assert code == 2 and "found '../../evil.mp4'" in err


def test_splits_of_the_wrong_size_are_refused(
    run: Run, table: Table, prepare: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "AVA", dataclasses.replace(table, num_videos=AVA.num_videos))
    code, _, err = run("--parts", "annotations")
    assert code == 2 and "expected 235 videos of train, found 3" in err


@pytest.mark.parametrize("options", [["--parts", "videos"], ["--jobs", "0"], ["--fps", "x"]])
def test_wrong_options_are_one_line(
    prepare: ModuleType, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        prepare.main(options)
    assert stopped.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_a_folder_in_the_way_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    code, _, err = run()
    assert code == 2 and err.startswith("error: data") and err.count("\n") == 1


def test_the_table_says_everything_of_every_address() -> None:
    assert len({source.url for source in AVA.sources}) == len(AVA.sources) == 12
    for source in AVA.sources:
        assert source.url.startswith("https://") and source.license and source.what
    assert {kind: entry.count for kind, entry in AVA.movies.items()} == {
        "trainval": 299,
        "test": 131,
    }
    assert AVA.num_videos == {"train": 235, "val": 64, "test": 131}


@pytest.mark.needs_shared
def test_the_official_files_have_the_blob_ids_of_the_table(shared_data: Path) -> None:
    from ava_det.datasets.ava.official_files import git_blob_id

    known = {
        member.name: member.blob
        for source in AVA.sources
        for member in source.members
        if member.blob
    }
    known |= {Path(source.path).name: source.blob for source in AVA.sources if source.blob}
    here = [path for path in (shared_data / "ava").iterdir() if path.name in known]
    assert len(here) == 9
    for path in here:
        assert git_blob_id(path) == known[path.name], path.name
