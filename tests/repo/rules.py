"""The house rules, each a function from source text to what is wrong with it.

They are apart from ``test_tidy.py`` so that each can be shown to find what it is for.
"""

import ast
import re
from collections.abc import Callable
from typing import Final

from tests.repo.source import Function, definitions, functions, imported

FILE_LINES_MAX: Final = 300
FUNCTION_LINES_MAX: Final = 70
PARAMETERS_MAX: Final = 6

Rule = Callable[[str, str], list[str]]
"""Path relative to the repository and text of a Python file → findings."""

ONLY_IN: Final[dict[str, tuple[str, ...]]] = {
    "prometheus_client": ("common/metrics.py",),
    "sdnotify": ("common/notify.py",),
    "smbus2": ("collector/bus/linux.py",),
    "sqlite_utils": ("common/spool/migrate.py",),
    "requests": ("shipper/",),
    "tenacity": ("shipper/",),
    "jwt": ("shipper/auth/",),
    "cryptography": ("shipper/auth/", "shipper/cli_keys.py"),
}
"""A package of the product, and the only places that may import it."""

_UNFINISHED: Final = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")
_PLACES: Final = re.compile(
    r"/wor[k]/|/tmp/brie[f]|\.\./share[d]\b|/hom[e]/\w|/roo[t]/|https?://\S+/simpl[e]\b"
)
_ASSERTING: Final = re.compile(r"^(?:assert|check|expect|verify|must)_?|^(?:raises|warns|fail)$")


def long_file(_path: str, text: str) -> list[str]:
    """A file longer than a person reads in one sitting hides a missing noun."""
    count = text.count("\n")
    return [f"{count} lines, at most {FILE_LINES_MAX}"] if count > FILE_LINES_MAX else []


def long_function(_path: str, text: str) -> list[str]:
    """A function must fit on a screen or two."""
    found = []
    for node in functions(ast.parse(text)):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LINES_MAX:
            found.append(f"{node.name}: {length} lines, at most {FUNCTION_LINES_MAX}")
    return found


def many_parameters(_path: str, text: str) -> list[str]:
    """More parameters than six want to be a dataclass."""
    found = []
    for node in functions(ast.parse(text)):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([a for a in arguments if a.arg not in {"self", "cls"}])
        if count > PARAMETERS_MAX:
            found.append(f"{node.name}: {count} parameters, at most {PARAMETERS_MAX}")
    return found


def prints(path: str, text: str) -> list[str]:
    """Only the command line talks to people; services log."""
    name = path.rpartition("/")[2]
    if name.startswith("cli") or name == "__main__.py":
        return []
    return [f"line {line}: print" for line in _calls(text, "print")]


def sleeps(path: str, text: str) -> list[str]:
    """A wait that the clock does not know can neither be tested nor be ended."""
    if path == "common/clock.py":
        return []
    return [f"line {line}: time.sleep" for line in _calls(text, "time.sleep")]


def bare_excepts(_path: str, text: str) -> list[str]:
    """``except:`` also catches the interrupt of the person at the keyboard."""
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ExceptHandler)]
    return [f"line {node.lineno}: bare except" for node in nodes if node.type is None]


def undocumented(_path: str, text: str) -> list[str]:
    """Every module and everything public says what it is."""
    return [
        f"{name}: no docstring"
        for name, node, public in definitions(ast.parse(text))
        if public
        and isinstance(node, ast.Module | ast.ClassDef | Function)
        and ast.get_docstring(node) is None
        and not _is_setter(node)
    ]


def undocumented_test(_path: str, text: str) -> list[str]:
    """Every test says in a sentence which behaviour it is about."""
    return [f"{n.name}: no docstring" for n in _tests(text) if ast.get_docstring(n) is None]


def assertless_test(_path: str, text: str) -> list[str]:
    """A test that asserts nothing passes for ever."""
    return [f"{node.name}: asserts nothing" for node in _tests(text) if not _asserts(node)]


def misplaced_import(path: str, text: str) -> list[str]:
    """A package is imported where its weight is wanted, and nowhere else."""
    found = []
    for module, line in imported(ast.parse(text)):
        top = module.partition(".")[0]
        if top == "tests":
            found.append(f"line {line}: the product imports tests")
        places = ONLY_IN.get(top)
        if places is not None and not path.startswith(places):
            found.append(f"line {line}: {top} belongs into {' or '.join(places)}")
    return found


def unwelcome_words(_path: str, text: str) -> list[str]:
    """Nothing unfinished, and no place of somebody's machine."""
    return [
        f"line {number}: {match.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for match in [*_UNFINISHED.finditer(line), *_PLACES.finditer(line)]
    ]


PRODUCT_RULES: Final[tuple[Rule, ...]] = (
    long_file, long_function, many_parameters, prints, sleeps, bare_excepts, undocumented,
    misplaced_import,
)
TEST_RULES: Final[tuple[Rule, ...]] = (
    long_file, long_function, bare_excepts, undocumented_test, assertless_test,
)


def _calls(text: str, name: str) -> list[int]:
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [node.lineno for node in nodes if ast.unparse(node.func) == name]


def _tests(text: str) -> list[Function]:
    return [node for node in functions(ast.parse(text)) if node.name.startswith("test_")]


def _asserts(test: Function) -> bool:
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            last = ast.unparse(node.func).rpartition(".")[2]
            if _ASSERTING.match(last):
                return True
    return False


def _is_setter(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(d).endswith((".setter", "overload")) for d in decorators)
