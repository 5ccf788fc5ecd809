"""Prints the documented functions, classes and modules of Python's standard library as NDJSON: the first line of the docstring apart from
the rest. Reads the sources and runs none of them."""

import ast
import json
import pathlib
import re
import sysconfig

root = pathlib.Path(sysconfig.get_paths()["stdlib"])
for path in sorted(root.rglob("*.py")):
    where = path.relative_to(root)
    if {"site-packages", "test", "tests", "idle_test", "lib2to3", "dist-packages"} & set(where.parts):
        continue
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        continue
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        first, _, rest = (ast.get_docstring(node) or "").partition("\n")
        rest = re.sub(r"\s+", " ", rest).strip()
        if len(first.split()) < 3 or len(rest) < 80:
            continue
        line = getattr(node, "lineno", 0)
        print(json.dumps({"id": f"{where}:{line}", "first": first.strip(), "rest": rest}))
