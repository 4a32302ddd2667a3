"""The repository's own files, as the house rules see them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PRODUCT: Final = ("collector", "common", "shipper")

_TEXT: Final = {
    ".cfg", ".lock", ".md", ".py", ".service", ".socket", ".sql", ".target", ".toml", ".txt",
    ".yaml", ".yml", "",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(*folders: str) -> list[Path]:
    """All Python files below these folders of the repository, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def text_files() -> list[Path]:
    """All files that a person may read: no hidden folder but .ci, no cache, no data."""
    found = []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(p.startswith(".") and p not in {".ci", ".gitignore"} for p in parts)
        skipped = hidden or "__pycache__" in parts or parts[0] in {"build", "dist", "wheelhouse"}
        if not skipped and path.is_file() and path.suffix in _TEXT:
            found.append(path)
    return found


def relative(path: Path) -> str:
    """The path as it is written in messages."""
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[Function]:
    """All functions and methods, also nested ones."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST, bool]]:
    """The module, its classes and functions, and their methods.

    Yields:
        Dotted name, node, and whether the name is public all the way down.
    """
    yield "module", tree, True
    yield from _definitions(tree, "", public=True)


def _definitions(
    parent: ast.AST, prefix: str, *, public: bool
) -> Iterator[tuple[str, ast.AST, bool]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef | Function):
            seen = public and not node.name.startswith("_")
            yield prefix + node.name, node, seen
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node, f"{prefix}{node.name}.", public=seen)


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module that is imported anywhere in the file, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
