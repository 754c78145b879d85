"""Writes a tar archive of a base image with this machine's Python and little else: ``base_image.py FILE``.

For building images where no registry can be reached: ``docker import FILE NAME``. It holds the interpreter that runs
this with its standard library (below /usr/local), a shell, the shared libraries of both, and the usual empty folders.
"""

import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

PYTHON = Path(sys.executable).resolve()
LIBRARY = Path(sysconfig.get_path("stdlib"))
SHELL = Path("/bin/sh").resolve()
LEFT_OUT = {"__pycache__", "test", "tests", "site-packages", "dist-packages", "idlelib", "tkinter", "ensurepip"}
FOLDERS = {"tmp": 0o1777, "proc": 0o755, "sys": 0o755, "dev": 0o755, "etc": 0o755}


def modules() -> Iterator[Path]:
    """The standard library, without what needs a screen, what only tests, and what C programs are linked with."""
    for path in LIBRARY.rglob("*"):
        unwanted = LEFT_OUT & set(path.parts) or path.name.startswith("_tkinter") or path.suffix == ".a"
        if path.is_file() and not unwanted:
            yield path


def shared_libraries(files: Iterable[Path]) -> Iterator[Path]:
    """What ELF files need, the loader too, by the names that they are asked for."""
    told = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    for path in sorted(set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", told, re.MULTILINE))):
        yield Path(path)


def common_libraries() -> Iterator[Path]:
    """Those of the C library and the compiler, which compiled wheels expect on every machine."""
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for path in re.findall(r"\slib(?:c|m|dl|rt|pthread|util|gcc_s|stdc\+\+)\.so\.\d+ [^\n]* => (\S+)", known):
        yield Path(path)


def write_image(archive: tarfile.TarFile) -> None:
    """The whole image."""
    for name, mode in FOLDERS.items():
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, mode
        archive.addfile(folder)
    library = list(modules())
    archive.add(PYTHON, "usr/local/bin/python3")
    archive.add(SHELL, "bin/sh")
    for path in library:
        archive.add(path.resolve(), f"usr/local/lib/{LIBRARY.name}/{path.relative_to(LIBRARY)}")
    binaries = [PYTHON, SHELL, *common_libraries(), *(path for path in library if ".so" in path.name)]
    for path in {*common_libraries(), *shared_libraries(binaries)}:
        archive.add(path.resolve(), str(path).lstrip("/"))


if __name__ == "__main__":
    with tarfile.open(sys.argv[1], "w") as tar:
        write_image(tar)
