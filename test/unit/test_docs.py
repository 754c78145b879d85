import importlib.util
import re
from pathlib import Path

import pytest

from execution_engine.config.settings import scalar_settings
from execution_engine.core.causes import CAUSES
from execution_engine.core.errors import all_errors

ROOT = Path(__file__).parents[2]


def _generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["settings.md", "errors.md", "rpc.md", "access.md"])
def test_generated_pages_say_what_the_code_says(page):
    assert (ROOT / "docs/reference" / page).read_text() == _generator().PAGES[page](), "run `make docs`"


def test_every_setting_error_and_cause_is_documented():
    reference = "".join(path.read_text() for path in (ROOT / "docs/reference").glob("*.md"))
    names = [field.name.replace("_", "-") for field in scalar_settings()]
    names += [error.reason for error in all_errors()] + list(CAUSES)
    assert [name for name in names if f"`{name}`" not in reference] == []


def test_codes_and_reasons_of_errors_are_told_apart():
    reasons = [error.reason for error in all_errors()]
    assert len(reasons) == len(set(reasons))


def test_links_between_pages_lead_somewhere():
    dead = []
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        dead += [f"{page.relative_to(ROOT)}: {t}" for t in targets if not (page.parent / t).resolve().exists()]
    assert dead == []


def test_modules_stay_small():
    sizes = {path: len(path.read_text().splitlines()) for path in (ROOT / "execution_engine").rglob("*.py")}
    assert {str(path): lines for path, lines in sizes.items() if lines > 500} == {}
