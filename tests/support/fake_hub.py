"""A server on this machine that answers huggingface_hub as the hub does, on a thread."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_of_the_stand_in"  # the only one that may write, or see private repositories
LICENSES = {"unknown", "apache-2.0"}


@dataclass
class Repository:
    """branches: name -> commit. commits: id -> path -> content. gated: its owner admits readers."""

    private: bool = False
    gated: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def newest(self) -> dict[str, bytes]:
        return self.commits[self.branches["main"]]

    def find_commit(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.branches.get(revision)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        before = self.commits[self.branches[branch]]
        name = hashlib.sha1(f"{branch} {len(self.commits)}".encode()).hexdigest()
        self.commits[name] = {**before, **files}
        self.branches[branch] = name
        return name


class FakeHub:
    """Use it in a `with` block.

    url: where it answers. store: the same, by another name. repositories: user/name -> what it
    holds. log: (method, path) of every request. broken: status that every further request gets.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.log: list[tuple[str, str]] = []
        self.broken: int | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), build_handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        # another host, as where the hub keeps large files: the token does not go there
        self.store = self.url.replace("127.0.0.1", "localhost")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType
    ) -> None:
        self._server.shutdown()
        self._thread.join(20)
        self._server.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """The variables with which huggingface_hub asks this server, its cache in `home`."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_VERBOSITY": "error",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "0",
        }

    def make(self, name: str, private: bool = False) -> Repository:
        first = hashlib.sha1(name.encode()).hexdigest()
        made = Repository(private, branches={"main": first}, commits={first: {}})
        self.repositories[name] = made
        return made


def build_handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._begin()

        def do_GET(self) -> None:
            self._begin()

        def do_POST(self) -> None:
            self._begin()

        def do_PUT(self) -> None:
            self._begin()

        def _begin(self) -> None:
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.path = unquote(urlsplit(self.path).path)
            hub.log.append((self.command, self.path))
            self.may_write = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            words = self.path.strip("/").split("/")
            if hub.broken is not None:
                self._answer(hub.broken, {"error": "broken"})
            elif words[0] == "lfs":
                self._answer_large(words[1])
            elif words[:3] == ["api", "repos", "create"]:
                self._create()
            elif words[:2] == ["api", "validate-yaml"]:
                self._validate()
            elif words[:2] == ["api", "models"]:
                self._answer_models("/".join(words[2:4]), words[4:])
            elif words[2:] == ["info", "lfs", "objects", "batch"]:
                self._begin_large()
            elif words[2] == "resolve":
                self._resolve("/".join(words[:2]), words[3], "/".join(words[4:]))

        def _answer(self, status: int, content: Any = None, **headers: str) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _refuse(self, status: int, code: str) -> None:
            self._answer(status, {"error": code}, X_Error_Code=code)

        def _find(self, name: str) -> Repository | None:
            """The hub says of private repositories what it says of absent ones."""
            found = hub.repositories.get(name)
            if found is None or (found.private and not self.may_write):
                self._refuse(404 if self.may_write else 401, "RepoNotFound")
                return None
            if found.gated and not self.may_write:
                self._refuse(401, "GatedRepo")
                return None
            return found

        def _create(self) -> None:
            wanted = json.loads(self.body)
            name = f"{wanted['organization']}/{wanted['name']}"
            if not self.may_write:
                self._answer(401, {"error": "Invalid username or password."})
                return
            exists = name in hub.repositories
            if not exists:
                before_2_0 = wanted.get("private", False)
                hub.make(name, before_2_0 or wanted.get("visibility") == "private")
            self._answer(409 if exists else 200, {"url": f"{hub.url}/{name}"})

        def _validate(self) -> None:
            front = yaml.safe_load(json.loads(self.body)["content"].split("---\n")[1])
            fits = front["license"] in LICENSES
            errors = [] if fits else [{"message": '"license" must be one of a list'}]
            self._answer(200 if fits else 400, {"errors": errors, "warnings": []})

        def _answer_models(self, name: str, words: list[str]) -> None:
            repository = self._find(name)
            if repository is None:
                return
            if not words:
                sha = repository.branches["main"]
                self._answer(200, {"id": name, "private": repository.private, "sha": sha})
            elif not self.may_write:
                self._answer(403, {"error": "forbidden"})
            elif words[0] == "branch":
                exists = words[1] in repository.branches
                repository.branches.setdefault(words[1], repository.branches["main"])
                self._answer(409 if exists else 200, {})
            elif repository.find_commit(words[1]) is None:
                self._refuse(404, "RevisionNotFound")
            elif words[0] == "preupload":
                files = [
                    {"path": path, "uploadMode": mode, "shouldIgnore": False}
                    for path in (one["path"] for one in json.loads(self.body)["files"])
                    for mode in ["lfs" if path.endswith(".safetensors") else "regular"]
                ]
                self._answer(200, {"files": files})
            elif words[0] == "commit":
                self._commit(name, repository, words[1])

        def _begin_large(self) -> None:
            objects = [
                {**one, "actions": {"upload": {"href": f"{hub.url}/lfs/{one['oid']}"}}}
                for one in json.loads(self.body)["objects"]
            ]
            self._answer(200, {"transfer": "basic", "objects": objects})

        def _answer_large(self, oid: str) -> None:
            assert "Authorization" not in self.headers
            if self.command == "PUT":
                assert hashlib.sha256(self.body).hexdigest() == oid
                hub.large[oid] = self.body
            self._answer(200, hub.large[oid])

        def _commit(self, name: str, repository: Repository, branch: str) -> None:
            files = {}
            for line in self.body.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    files[value["path"]] = hub.large[value["oid"]]
            commit = repository.commit(branch, files)
            self._answer(
                200, {"commitUrl": f"{hub.url}/{name}/commit/{commit}", "commitOid": commit}
            )

        def _resolve(self, name: str, revision: str, path: str) -> None:
            repository = self._find(name)
            if repository is None:
                return
            commit = repository.find_commit(revision)
            if commit is None:
                self._refuse(404, "RevisionNotFound")
                return
            if path not in repository.commits[commit]:
                self._refuse(404, "EntryNotFound")
                return
            content = repository.commits[commit][path]
            oid = hashlib.sha256(content).hexdigest()
            headers = {"X_Repo_Commit": commit, "ETag": f'"{oid}"'}
            if oid in hub.large:
                headers |= {"X_Linked_Etag": f'"{oid}"', "X_Linked_Size": str(len(content))}
                self._answer(302, b"", Location=f"{hub.store}/lfs/{oid}", **headers)
            else:
                self._answer(200, content, **headers)

    return Handler
