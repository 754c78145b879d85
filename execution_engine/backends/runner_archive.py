"""The runner as one file that any ``python3`` runs: ``python3 runner-….pyz --url … --job …``.

The archive holds the package ``execution_engine/runner`` under the name ``ee_runner``: the sources, and beside them
their bytecode for the Python that builds it, which saves that Python a third of the time that a start takes; another
one compiles the sources. The file's name says what it was made from: processes that build it at the same time make the
same one, and a new version never replaces one that a running job still imports from.
"""

import hashlib
import io
import os
import py_compile
import sys
import tempfile
import zipfile
from pathlib import Path

from execution_engine import runner

PACKAGE = "ee_runner"
MAIN = f"import sys\nfrom {PACKAGE}.main import main\nsys.exit(main(sys.argv[1:]))\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time that a zip file can hold


def build(folder: Path, package: Path | None = None) -> Path:
    """The archive in ``folder``, which is made if needed; built only if it is not there yet.

    ``package``: the folder of the runner's sources, by default the installed ones.

    Raises:
        OSError: the folder can't be written.
    """
    content = sources(package)
    path = folder / f"runner-{_digest(content)}-{sys.implementation.cache_tag}.pyz"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".runner-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pack(content))
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)  # read by the accounts that batch systems run jobs under
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def compact() -> bytes:
    """The archive without bytecode and compressed, a quarter as large: for systems that carry it with each job."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, content in sources().items():
            _add(file, name, content)
    return buffer.getvalue()


def sources(package: Path | None = None) -> dict[str, bytes]:
    """What goes into the archive, by name, in a fixed order; ``package`` as for :func:`build`."""
    package = package or Path(runner.__path__[0])
    modules = sorted(package.rglob("*.py"))
    named = {f"{PACKAGE}/{module.relative_to(package).as_posix()}": module.read_bytes() for module in modules}
    return {"__main__.py": MAIN.encode(), **named}


def _digest(files: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def pack(files: dict[str, bytes]) -> bytes:
    """The sources of that name as a zip file, with their bytecode."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            _add(file, name, content)
            _add(file, f"{name}c", _bytecode(name, content))
    return buffer.getvalue()


def _bytecode(name: str, content: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, compiled = Path(folder, "module.py"), Path(folder, "module.pyc")
        source.write_bytes(content)
        # Not checked against the source's time when it is imported: in the archive all files have the same.
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(source), str(compiled), name, doraise=True, invalidation_mode=mode)
        return compiled.read_bytes()


def _add(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3  # Unix, wherever it is built: the attributes above are Unix's
    file.writestr(entry, content, file.compression)
