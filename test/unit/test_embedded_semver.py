import pytest

from execution_engine.embedded.catalog.semver import matcher, version_key

ORDERED = [
    "0.0.9",
    "1.0.0-1",
    "1.0.0-2",
    "1.0.0-11",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0",
    "1.0.1",
    "1.10.0",
    "2.0.0",
]


def test_versions_are_ordered_by_number_and_pre_releases_come_first() -> None:
    keys = [version_key(text) for text in ORDERED]
    assert None not in keys
    assert sorted(set(keys)) == keys


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.x", "release", "v1.2.3", "0" * 40, "1.2.3.4"])
def test_what_is_no_version(text: str) -> None:
    assert version_key(text) is None


def test_build_data_does_not_count() -> None:
    assert version_key("1.2.3+build.5") == version_key("1.2.3")


@pytest.mark.parametrize(
    ("specification", "fitting", "others"),
    [
        ("1.2.3", ["1.2.3"], ["1.2.4", "1.2.3-rc"]),
        ("==1.2.3", ["1.2.3"], ["1.2.2"]),
        ("=1.2", ["1.2.0", "1.2.9"], ["1.3.0", "1.1.9"]),
        ("1", ["1.0.0", "1.9.9"], ["2.0.0", "2.0.0-rc", "0.9.9"]),
        ("!=1.2.3", ["1.2.4", "1.2.2"], ["1.2.3"]),
        ("!=1.2", ["1.3.0"], ["1.2.3"]),
        (">1.2.3", ["1.2.4", "2.0.0"], ["1.2.3", "1.2.3-rc"]),
        (">1.2", ["1.3.0"], ["1.2.9"]),
        (">=1.2.3", ["1.2.3", "9.0.0"], ["1.2.2", "1.2.3-rc"]),
        ("<2.0.0", ["1.9.9"], ["2.0.0", "2.0.0-rc"]),
        ("<2.0.0-rc", ["2.0.0-beta"], ["2.0.0-rc", "2.0.0"]),
        ("<=1.2.3", ["1.2.3", "1.2.3-rc", "0.0.1"], ["1.2.4"]),
        ("<=1.2", ["1.2.9"], ["1.3.0"]),
        ("^1.2.3", ["1.2.3", "1.9.0"], ["1.2.2", "2.0.0"]),
        ("^0.2.3", ["0.2.9"], ["0.3.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("^0", ["0.9.0"], ["1.0.0"]),
        ("~1.2.3", ["1.2.9"], ["1.3.0", "1.2.2"]),
        ("~1.2", ["1.2.0"], ["1.3.0"]),
        ("~1", ["1.9.0"], ["2.0.0"]),
        ("~=1.2.3", ["1.2.9"], ["1.3.0"]),
        ("~=1.2", ["1.9.0"], ["2.0.0", "1.1.0"]),
        (">=1.2.0, <2.0.0,!=1.3.0", ["1.2.0", "1.9.0"], ["1.3.0", "2.0.0"]),
    ],
)
def test_ranges(specification: str, fitting: list[str], others: list[str]) -> None:
    fits = matcher(specification)
    assert [text for text in fitting + others if fits(version_key(text))] == fitting


@pytest.mark.parametrize("text", ["", "nosuchversion", ">=", "1.2.3,", ">=1.2.3 <2", "0" * 40, "49dc505f"])
def test_what_is_no_range(text: str) -> None:
    assert matcher(text) is None
