#!/usr/bin/env python3
"""Checks that src/ has the shape docs/architecture.md says it has.

Reads two tables there: "Modules" (module | is | may use | must not know) and "Fences"
(headers | only in), then every #include in src/, and reports

  - a module that includes another one its row does not allow,
  - a cycle among the modules or among the files,
  - a third-party header outside its fence,
  - a folder of src/ that is not in the table,
  - a file over 800 lines.

Prints one line per finding and exits 1 if there is any.
"""

import argparse
import fnmatch
import re
import sys
from pathlib import Path

MAX_LINES = 800
SOURCE_SUFFIXES = {".h", ".hh", ".hpp", ".cuh", ".inl", ".cc", ".cpp", ".cu"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")


class TableError(Exception):
    """The document does not hold the tables this script needs."""


def table_rows(text, heading):
    """Cells of the first table under a heading, header and rule left out."""
    match = re.search(rf"^#+ .*{re.escape(heading)}.*$", text, re.MULTILINE)
    if not match:
        raise TableError(f"no heading with {heading!r}")
    rows = []
    for line in text[match.end():].splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows or line.startswith("#"):
            break
    if len(rows) < 3:
        raise TableError(f"no table under {heading!r}")
    return rows[2:]


def read_modules(text):
    """module name -> set of modules it may include directly (base always)."""
    allowed = {}
    for row in table_rows(text, "Modules"):
        if len(row) < 3:
            raise TableError(f"a row of the module table has {len(row)} cells: {row}")
        names = re.findall(r"[a-z_]+", row[2].split("(")[0])
        allowed[row[0].strip("`")] = set(names)
    unknown = {
        f"{module} may use {other}, which is not in the table"
        for module, others in allowed.items()
        for other in others
        if other not in allowed and other != "anything"
    }
    if unknown:
        raise TableError("; ".join(sorted(unknown)))
    return allowed


def read_fences(text):
    """[(header patterns, path patterns)], both as fnmatch patterns."""
    return [(CODE.findall(row[0]), CODE.findall(row[1])) for row in table_rows(text, "Fences")]


def find_cycle(edges):
    """One cycle of a graph {node: set of nodes} as a list of nodes, or None."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        for target in sorted(edges.get(node, ())):
            cycle = visit(target)
            if cycle:
                return cycle
        path.pop()
        done.add(node)
        return None

    for node in sorted(edges):
        cycle = visit(node)
        if cycle:
            return cycle
    return None


def source_files(root):
    """Source files of src/, as paths relative to it."""
    src = root / "src"
    return sorted(
        path.relative_to(src)
        for path in src.rglob("*")
        if path.suffix in SOURCE_SUFFIXES and path.is_file()
    )


def includes_of(path):
    """(line, included path) of a file, comments of whole lines left out."""
    text = path.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start(1)) + 1, m.group(2)) for m in INCLUDE.finditer(text)]


def fence_finding(relative, included, fences):
    """The paths an include is confined to, when `relative` is not among them."""
    for headers, places in fences:
        inside = any(fnmatch.fnmatch(str(relative), place) for place in places)
        if not inside and any(fnmatch.fnmatch(included, header) for header in headers):
            return ", ".join(places)
    return None


def check_file(root, relative, allowed, fences, module_edges, file_edges):
    """Findings of one file; adds what it includes to the two graphs."""
    findings = []
    path = root / "src" / relative
    module = relative.parts[0]
    lines = path.read_text(encoding="utf-8").count("\n")
    if lines > MAX_LINES:
        findings.append(f"src/{relative}: {lines} lines, at most {MAX_LINES}: split it")
    for line, included in includes_of(path):
        where = f"src/{relative}:{line}"
        places = fence_finding(relative, included, fences)
        if places:
            findings.append(f"{where}: <{included}> belongs to {places} only")
        target = included.split("/")[0]
        if target not in allowed or "/" not in included:
            continue
        if (root / "src" / included).is_file():
            file_edges.setdefault(str(relative), set()).add(included)
        if target == module:
            continue
        module_edges.setdefault(module, set()).add(target)
        if target != "base" and "anything" not in allowed[module] and target not in allowed[module]:
            findings.append(f'{where}: {module} must not include "{included}" (docs/architecture.md)')
    return findings


def check(root):
    """All findings of a source tree, in order of their files."""
    text = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    allowed, fences = read_modules(text), read_fences(text)
    findings, module_edges, file_edges = [], {}, {}
    for relative in source_files(root):
        if relative.parts[0] not in allowed:
            findings.append(f"src/{relative}: {relative.parts[0]} is not in the module table")
            continue
        findings += check_file(root, relative, allowed, fences, module_edges, file_edges)
    for what, edges in (("modules", module_edges), ("files", file_edges)):
        cycle = find_cycle(edges)
        if cycle:
            findings.append(f"{what} include each other in a circle: " + " → ".join(cycle))
    return findings


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    try:
        findings = check(root)
    except (OSError, TableError) as error:
        sys.exit(f"check_layers: {error}")
    for finding in findings:
        print(finding)
    if findings:
        sys.exit(1)
    print(f"layers: {len(source_files(root))} files, no finding")


if __name__ == "__main__":
    main()
