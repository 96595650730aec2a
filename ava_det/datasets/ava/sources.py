"""Lists the files of AVA that this project reads: their addresses, licenses and places.

Blob ids are git's (`git hash-object FILE`), of the official files. A file without one is checked by
its length and by its contents. No address could be opened where this was written: they are those
that the publishers' own instructions name.
"""

from __future__ import annotations

from dataclasses import dataclass

PARTS = ("annotations", "boxes", "train", "val", "test", "ava-kinetics")
DEFAULT_PARTS = ("annotations", "boxes", "train", "val")
AVA_LICENSE = "CC BY 4.0 (research.google.com/ava)"
MOVIE_LICENSE = "no license stated; films from YouTube, hosted by CVDF for research"
LFB_LICENSE = (
    "none stated for the file; the repository that links it is Apache-2.0 "
    "(video-long-term-feature-banks)"
)
PYSLOWFAST_LICENSE = (
    "none stated for the file; the repository that links it is Apache-2.0 (PySlowFast)"
)
MMACTION2_LICENSE = (
    "none stated for the file; the repository that links it is Apache-2.0 (MMAction2)"
)

S3 = "https://s3.amazonaws.com/ava-dataset"
FACEBOOK = "https://dl.fbaipublicfiles.com"


@dataclass(frozen=True)
class Member:
    """Describes a file of an archive.

    Attributes:
        name: The last parts of its path in the archive.
        blob: Its git blob id, None where it is not known.
        required: Whether an archive without it is an error.
    """

    name: str
    blob: str | None = None
    required: bool = True


@dataclass(frozen=True)
class Source:
    """Describes a file to fetch.

    Attributes:
        part: The part of the data set it belongs to, as in --parts.
        url: Its address.
        path: Its place below the output folder.
        what: Its contents, in words.
        license: The license of its contents.
        blob: Its git blob id, None where it is not known.
        folder: Where an archive is unpacked, below the output folder.
        members: The files of an archive.
    """

    part: str
    url: str
    path: str
    what: str
    license: str
    blob: str | None = None
    folder: str = ""
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Movies:
    """Describes a folder of movies on a server.

    Attributes:
        url: The address of the folder.
        names: A text file with the names of the movies, one per line; a path below the output
            folder.
        count: The number of movies.
        license: The license of the movies.
    """

    url: str
    names: str
    count: int
    license: str = MOVIE_LICENSE


@dataclass(frozen=True)
class Table:
    """Lists all files to fetch.

    Attributes:
        sources: The files other than movies.
        movies: The folders of movies, by `trainval` or `test`.
        num_videos: The number of videos that each split must have.
        val_rows: The annotations whose video ids are those of val; below the output folder.
    """

    sources: tuple[Source, ...]
    movies: dict[str, Movies]
    num_videos: dict[str, int]
    val_rows: str = "annotations/ava_val_v2.2.csv"


def _annotations(version: str, *members: Member) -> Source:
    names = [f"ava_{split}_v{version}.csv" for split in ("train", "val")]
    names += [f"ava_{split}_excluded_timestamps_v{version}.csv" for split in ("train", "val")]
    known = {member.name for member in members}
    return Source(
        "annotations",
        f"{S3}/annotations/ava_v{version}.zip",
        f"downloads/ava_v{version}.zip",
        f"rows, exclusions and label maps of v{version}",
        AVA_LICENSE,
        folder="annotations",
        members=(*members, *(Member(name) for name in names if name not in known)),
    )


def _names(kind: str, blob: str) -> Source:
    name = f"ava_file_names_{kind}_v2.1.txt"
    return Source(
        "annotations",
        f"{S3}/annotations/{name}",
        f"annotations/{name}",
        f"names of the {kind} movies, the same for v2.2",
        AVA_LICENSE,
        blob,
    )


def _lfb_boxes(split: str) -> Source:
    name = f"ava_{split}_predicted_boxes.csv"
    url = f"{FACEBOOK}/video-long-term-feature-banks/data/ava/annotations/{name}"
    return Source(
        "boxes",
        url,
        f"annotations/{name}",
        f"person boxes of {split}, for scores above 0.9",
        LFB_LICENSE,
    )


def _mmaction2_boxes(split: str) -> Source:
    name = f"ava_dense_proposals_{split}.FAIR.recall_93.9.pkl"
    url = f"https://download.openmmlab.com/mmaction/dataset/ava/{name}"
    return Source(
        "boxes",
        url,
        f"annotations/{name}",
        f"MMAction2's person boxes of {split}",
        MMACTION2_LICENSE,
    )


# The 60 evaluated classes are the same file in v2.1 and v2.2.
_LABEL_MAP = "5e2c485682830919a09300ac851e6b0e4bdf3efb"
_PERSON_BOXES = "person_box_67091280_iou90/ava_detection"

AVA = Table(
    sources=(
        _names("trainval", "39642ac0bca6a077535059ecdb7a5126150ecdf3"),
        _names("test", "d6ed53fa671232aa12ed0a6fc51962957c43ed31"),
        _annotations(
            "2.2",
            Member("ava_train_v2.2.csv", "37e406908fb61332f4e6843bf86ae6cbb0f4f9e6"),
            Member("ava_val_v2.2.csv", "c543206f4047604617d83413d74cba2353b2c486"),
            Member(
                "ava_train_excluded_timestamps_v2.2.csv", "9db64a583945da27da7c42f49f7c754d636fa37b"
            ),
            Member(
                "ava_val_excluded_timestamps_v2.2.csv", "cfc1b1179a5530d07d6a6e4fa7eeb90fa8a87a2f"
            ),
            Member(
                "ava_test_excluded_timestamps_v2.2.csv", "2082715f073e717d1da7ea5b08ed0d552e50f3d2"
            ),
            Member("ava_action_list_v2.2_for_activitynet_2019.pbtxt", _LABEL_MAP),
            Member("ava_action_list_v2.2.pbtxt", "d400eff9ed10affa508acae6d8fe83fe4be1809b"),
            Member(
                "ava_included_timestamps_v2.2.txt",
                "0475eb7493988239db9d75e67d07df02c9392b10",
                required=False,
            ),
            Member("ava_test_v2.2.txt", "b254e92c5f014b32703bb2b686c01ba5a0c50de5", required=False),
        ),
        _annotations(
            "2.1",
            Member("ava_test_excluded_timestamps_v2.1.csv", required=False),
            Member("ava_action_list_v2.1_for_activitynet_2018.pbtxt", _LABEL_MAP, required=False),
        ),
        *(_lfb_boxes(split) for split in ("train", "val", "test")),
        *(_mmaction2_boxes(split) for split in ("train", "val", "test")),
        Source(
            "boxes",
            f"{FACEBOOK}/pyslowfast/annotation/ava/ava_annotations.tar",
            "downloads/ava_annotations.tar",
            "PySlowFast's person boxes, for scores above 0.8",
            PYSLOWFAST_LICENSE,
            folder="annotations",
            members=(
                Member(f"{_PERSON_BOXES}_val_boxes_and_labels.csv"),
                Member(
                    f"{_PERSON_BOXES}_train_boxes_and_labels_include_negative.csv", required=False
                ),
                Member(
                    f"{_PERSON_BOXES}_train_boxes_and_labels_include_negative_v2.1.csv",
                    required=False,
                ),
                Member(
                    f"{_PERSON_BOXES}_train_boxes_and_labels_include_negative_v2.2.csv",
                    required=False,
                ),
                Member(f"{_PERSON_BOXES}_test_boxes_and_labels.csv", required=False),
                Member(
                    "person_box_67091280_iou75/ava_detection_val_boxes_and_labels.csv",
                    required=False,
                ),
            ),
        ),
        Source(
            "ava-kinetics",
            "https://s3.amazonaws.com/kinetics/700_2020/annotations/ava_kinetics_v1_0.tar.gz",
            "downloads/ava_kinetics_v1_0.tar.gz",
            "rows of AVA-Kinetics; also at storage.googleapis.com/deepmind-media/Datasets",
            AVA_LICENSE,
            folder="annotations",
            members=(
                Member("kinetics_train_v1.0.csv"),
                Member("kinetics_val_v1.0.csv", required=False),
                Member("kinetics_test_v1.0.csv", required=False),
            ),
        ),
    ),
    movies={
        "trainval": Movies(f"{S3}/trainval", "annotations/ava_file_names_trainval_v2.1.txt", 299),
        "test": Movies(f"{S3}/test", "annotations/ava_file_names_test_v2.1.txt", 131),
    },
    num_videos={"train": 235, "val": 64, "test": 131},
)
