"""Shares weights through the Hugging Face Hub, under names such as hf:user/name@revision.

huggingface_hub does what there is to speak: it alone reads the address (HF_ENDPOINT) and the token
(`hf auth login`, HF_TOKEN), keeps the files (HF_HOME), and finds them there without a network too
(HF_HUB_OFFLINE). Shared weights are safetensors, which hold nothing that could be run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ava_det.checkpoint.files import WeightsError

PREFIX = "hf:"
WEIGHTS_FILE = "model.safetensors"
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_LOG_IN = "log in by `hf auth login`, or set HF_TOKEN"


def is_shared(name: str | Path) -> bool:
    """Returns whether weights are named by a repository of the hub."""
    return str(name).startswith(PREFIX)


def fetch_shared(name: str) -> Path:
    """Finds the weights of a repository in the cache of huggingface_hub; downloads them if need be.

    A branch is looked up each time, and where the hub cannot be reached, what it was the last time
    is taken. A commit that is in the cache asks nobody.

    Args:
        name: hf:user/name or hf:user/name@revision, a branch, tag or commit.

    Returns:
        The file; the folder that it is in has the name of the commit.

    Raises:
        WeightsError: The name is of another form, there is no such repository, revision or file,
            it may not be read, or it is neither here nor can it be downloaded.
    """
    repository, at, revision = name.removeprefix(PREFIX).partition("@")
    if not _REPOSITORY.fullmatch(repository) or (at and not revision):
        raise WeightsError(f"{name}: expected hf:user/name or hf:user/name@revision")
    hub = import_hub(name)
    with _explained(hub, name):
        return Path(hub.hf_hub_download(repository, WEIGHTS_FILE, revision=revision or None))


def pin_shared(name: str) -> str:
    """Replaces the revision in a name by the commit that it is now; arguments as `fetch_shared`."""
    return f"{name.partition('@')[0]}@{fetch_shared(name).parent.name}"


def upload_shared(folder: Path, repository: str, private: bool, revision: str | None) -> str:
    """Uploads the files of a folder as one commit; a repository that is missing is made.

    Args:
        folder: The files. Others that the repository has stay there.
        repository: user/name.
        private: Whether the repository must be one that others cannot see.
        revision: The branch, made of main where it is missing; None for main.

    Returns:
        The address of the commit.

    Raises:
        WeightsError: The hub cannot be reached or refuses, or the repository is not private.
    """
    name = f"{PREFIX}{repository}"
    hub = import_hub(name)
    api = hub.HfApi()
    with _explained(hub, name):
        api.create_repo(repository, private=private or None, exist_ok=True)
        if private and not api.repo_info(repository).private:  # it was there before
            raise WeightsError(f"--private: expected a private repository, {repository} is public")
        if revision is not None:
            api.create_branch(repository, branch=revision, exist_ok=True)
        files = [hub.CommitOperationAdd(path.name, path) for path in sorted(folder.iterdir())]
        message = "Upload by ava-det push"  # upload_folder may make several commits
        commit = api.create_commit(repository, files, commit_message=message, revision=revision)
    return str(commit.commit_url)


def check_repository(name: str) -> None:
    """Checks that the name of a repository is user/name.

    Raises:
        WeightsError: It is not.
    """
    if not _REPOSITORY.fullmatch(name):
        raise WeightsError(f"--repo: expected user/name, received {name!r}")


def import_hub(name: str) -> ModuleType:
    """Imports huggingface_hub, for the weights `name`.

    Raises:
        WeightsError: It is not installed.
    """
    try:
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError:
        raise WeightsError(f"{name}: needs huggingface_hub: pip install 'ava_det[hub]'") from None
    hub: ModuleType = huggingface_hub
    return hub


@contextmanager
def _explained(hub: ModuleType, name: str) -> Iterator[None]:
    """Turns what goes wrong between here and the hub into a sentence."""
    try:
        yield
    except WeightsError:
        raise
    # of HTTP, of the disk, what an upload wraps either in, and a card that the hub refuses
    except (hub.errors.HTTPError, OSError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{name}: {_explain(hub, error)}") from None


def _explain(hub: ModuleType, error: Exception) -> str:
    errors = hub.errors
    if isinstance(error, errors.GatedRepoError):
        return f"its owner decides who may read it: ask on its page, then {_LOG_IN}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"no such repository, or one that is private or another's: {_LOG_IN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the repository has no such revision"
    if isinstance(error, errors.LocalEntryNotFoundError):
        if hub.constants.HF_HUB_OFFLINE:
            return "was never downloaded, and HF_HUB_OFFLINE forbids it now"
        return f"was never downloaded, and {_name_failure(hub, error.__cause__ or error)}"
    if isinstance(error, errors.EntryNotFoundError):
        return f"the repository has no {WEIGHTS_FILE}, which `ava-det push` writes"
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code in (401, 403):
        return f"the token may not do this, or there is none: {_LOG_IN}"
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        return _explain(hub, error.__cause__)
    return _name_failure(hub, error)


def _name_failure(hub: ModuleType, error: BaseException) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"{hub.constants.ENDPOINT} failed: {reason}"
