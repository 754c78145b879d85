"""The Catalog's modules and their versions."""

from collections.abc import Iterable
from typing import Any

from pymongo.database import Database

from execution_engine.embedded.catalog.params import Params, text
from execution_engine.embedded.catalog.semver import matcher, version_key

Document = dict[str, Any]
TAGS = ("release", "beta", "dev")

_OPTIONAL = {"module_description": "include_module_description", "compilation_report": "include_compilation_report"}
_NEVER_IN_VERSION = ("module_name_lc",)
_NEVER_IN_INFO = ("command_app",)


class Modules:
    """Modules (``catalog_modules``) and versions (``catalog_versions``).

    A module's record has the commit of each tag and of each release; a version, known by module and commit, stays
    when its tags move on. Names are looked up without regard to case.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._modules = database["catalog_modules"]
        self._versions = database["catalog_versions"]

    def put(self, module: Document, versions: Iterable[Document]) -> None:
        """Store a module and versions of it, replacing those that are there.

        ``module`` is ``{module_name, git_url, description, language, owners, tags: {tag: commit}, releases: [commit]}``
        and perhaps ``dynamic_service``; a version has the fields of get_module_version. Versions are written first,
        so that after a crash no tag leads nowhere.
        """
        name = module["module_name"].lower()
        for version in versions:
            key = f"{name}/{version['git_commit_hash']}"
            self._versions.replace_one(
                {"_id": key}, {"module": name, "commit": version["git_commit_hash"], "record": version}, upsert=True
            )
        self._modules.replace_one({"_id": name}, module, upsert=True)

    def get(self, name: str) -> Document | None:
        """The module's record as :meth:`put` got it."""
        return self._modules.find_one({"_id": name.lower()})

    def versions(self, name: str) -> list[Document]:
        """All versions of a module as :meth:`put` got them."""
        return [found["record"] for found in self._versions.find({"module": name.lower()})]

    def version(self, params: Params) -> Document:
        """The answer of ``get_module_version``.

        Raises:
            ValueError: there is no such module or version.
        """
        module = self._find(params)
        found = self.resolve(module, text(params, "version"))
        if found is None:
            raise ValueError("No module version found that matches your criteria!")
        left_out = {*_NEVER_IN_VERSION, *(field for field, asked in _OPTIONAL.items() if not params.get(asked))}
        record = {key: value for key, value in found.items() if key not in left_out}
        return record | {"git_url": module["git_url"], "release_tags": self.tags_of(module, found)}

    def resolve(self, module: Document, wanted: str | None) -> Document | None:
        """The version of a module that a tag, commit, semantic version or range names; by default the best tag's."""
        if not wanted:
            wanted = next((tag for tag in TAGS if module["tags"].get(tag)), "release")
        if wanted in TAGS:
            return self._by_commit(module, module["tags"].get(wanted))
        return self._by_commit(module, wanted) or self._best_release(module, wanted)

    def tags_of(self, module: Document, version: Document) -> list[str]:
        """The tags that stand at a version."""
        return [tag for tag in TAGS if module["tags"].get(tag) == version["git_commit_hash"]]

    def info(self, params: Params) -> Document:
        """The answer of ``get_module_info``: the module and the version of each tag.

        Raises:
            ValueError: there is no such module.
        """
        module = self._find(params)
        answer = {key: module[key] for key in ("module_name", "git_url", "description", "language", "owners")}
        for tag in TAGS:
            found = self._by_commit(module, module["tags"].get(tag))
            answer[tag] = found and {key: value for key, value in found.items() if key not in _NEVER_IN_INFO}
        return answer

    def is_registered(self, params: Params) -> int:
        """The answer of ``is_registered``."""
        try:
            self._find(params)
        except ValueError:
            return 0
        return 1

    def list_basic(self, params: Params) -> list[Document]:
        """The answer of ``list_basic_module_info``: released modules by name, and others if asked for."""
        released, unreleased = params.get("include_released", 1), params.get("include_unreleased", 0)
        found = self._modules.find().sort("_id", 1)
        return [_basic(module) for module in found if (released if module["tags"].get("release") else unreleased)]

    def find(self, name: str) -> Document:
        """The module's record.

        Raises:
            ValueError: there is no such module.
        """
        return self._find({"module_name": name})

    def _find(self, params: Params) -> Document:
        name, url = text(params, "module_name"), text(params, "git_url")
        if not name and not url:
            raise ValueError("Missing required fields git_url or module_name")
        module = self.get(name) if name else self._modules.find_one({"git_url": url})
        if module is None:
            raise ValueError("Module cannot be found based on module_name or git_url parameters.")
        return module

    def _by_commit(self, module: Document, commit: str | None) -> Document | None:
        if not commit:
            return None
        found = self._versions.find_one({"_id": f"{module['_id']}/{commit}"})
        return found["record"] if found else None

    def _best_release(self, module: Document, specification: str) -> Document | None:
        fits = matcher(specification)
        if fits is None:
            return None
        released = self._versions.find({"module": module["_id"], "commit": {"$in": module["releases"]}})
        candidates = []
        for found in released:
            key = version_key(found["record"]["version"])
            if key is not None and fits(key):
                candidates.append((key, found["record"]["release_timestamp"] or 0, found["record"]))
        return max(candidates, key=lambda candidate: candidate[:2])[2] if candidates else None


def _basic(module: Document) -> Document:
    shown = ("module_name", "git_url", "owners", "language", "dynamic_service")
    answer: Document = {key: module[key] for key in shown if key in module}
    answer["release_version_list"] = [{"git_commit_hash": commit} for commit in module["releases"]]
    return answer | {tag: {"git_commit_hash": commit} for tag, commit in module["tags"].items() if commit}
