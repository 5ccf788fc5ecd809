"""Step 1: the texts. Writes into the working folder

    packages.jsonl      Debian's packages: name, source, section, synopsis, text, upstream's summaries and keywords (AppStream)
    passages.jsonl      passages of the other sources that are trained on: source, title, text
    held/NAME.jsonl     the collections that are only measured on: id, text and, where a passage has one, query

Fetches package lists (40 MB) and packages (some 120 MB) with apt-get into the same folder; nothing of the system changes.
"""

import argparse
import collections
import glob
import json
import pathlib
import re
import subprocess

import yaml

import sources

APT_HELPER = "/usr/lib/apt/apt-helper"


def held_out(source: str) -> bool:
    """Whether a source package belongs to the tenth that is only measured on. The program's demonstration splits in the same way."""
    return sources.digest(source) % 10 == 0


def fetch_lists(folder: pathlib.Path) -> pathlib.Path:
    lists = folder / "lists"
    if list(lists.glob("*Packages*")):
        return lists
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            "apt-get", "update", "-qq",
            "-o", f"Dir::State::lists={lists}",
            "-o", f"Dir::Cache={folder / 'cache'}",
            "-o", "APT::Sandbox::User=",
            "-o", "Acquire::Languages=en",
            # AppStream's lists, which apt fetches by itself only where a software centre is installed.
            "-o", "Acquire::IndexTargets::deb::DEP-11::MetaKey=$(COMPONENT)/dep11/Components-$(NATIVE_ARCHITECTURE).yml",
            "-o", "Acquire::IndexTargets::deb::DEP-11::ShortDescription=Components",
            "-o", "Acquire::IndexTargets::deb::DEP-11::Description=AppStream metadata",
            "-o", "Acquire::IndexTargets::deb::DEP-11::KeepCompressed=true",
        ],
        check=True,
    )  # fmt: skip
    return lists


def stanzas(pattern: str):
    """The stanzas of all files of a pattern, as dictionaries; see deb822(5)."""
    for path in sorted(glob.glob(pattern)):
        text = subprocess.run([APT_HELPER, "cat-file", path], check=True, capture_output=True).stdout.decode("utf-8", "replace")
        for stanza in text.split("\n\n"):
            fields, key = {}, ""
            for line in stanza.split("\n"):
                if line[:1] in (" ", "\t"):
                    fields[key] = fields.get(key, "") + "\n" + line
                elif ":" in line:
                    key, _, value = line.partition(":")
                    fields[key] = value.strip()
            if fields:
                yield fields


def paragraphs(long: list[str]) -> str:
    """The long description without its marks: a line of one full stop parts two paragraphs."""
    text = " ".join("\n" if line.strip() == "." else line.strip() for line in long)
    return re.sub(r"[ \t]+", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()


def appstream(lists: pathlib.Path):
    """Yields package, summary and keywords of each application, in English as upstream wrote them."""
    for path in sorted(glob.glob(f"{lists}/*_main_dep11_Components-*")):
        text = subprocess.run([APT_HELPER, "cat-file", path], check=True, capture_output=True).stdout.decode("utf-8", "replace")
        for document in text.split("\n---\n"):
            if "\nPackage:" not in document:
                continue
            kept, keep = [], False  # the keys that are read, so that there is little YAML to parse
            for line in document.split("\n"):
                if line[:1] not in (" ", "-", "\t"):
                    keep = line.startswith(("Package:", "Summary:", "Keywords:"))
                if keep:
                    kept.append(line)
            component = yaml.load("\n".join(kept), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
            keywords = [str(k) for k in (component.get("Keywords") or {}).get("C") or []]
            yield component["Package"], (component.get("Summary") or {}).get("C") or "", keywords


def packages(lists: pathlib.Path) -> list[dict]:
    descriptions = {s["Description-md5"]: s["Description-en"] for s in stanzas(f"{lists}/*_main_i18n_Translation-en*") if "Description-en" in s}
    found = {}
    for s in stanzas(f"{lists}/*_main_binary-*_Packages*"):
        synopsis, *long = descriptions.get(s.get("Description-md5", ""), s.get("Description", "")).split("\n")
        found.setdefault(
            s["Package"],
            {
                "name": s["Package"],
                "source": s.get("Source", s["Package"]).split(" ")[0],
                "section": s.get("Section", "").split("/")[-1],
                "synopsis": synopsis.strip(),
                "text": paragraphs(long),
                "summaries": [],
                "keywords": [],
            },
        )
    for name, summary, keywords in appstream(lists):
        if name in found and summary:
            found[name]["summaries"].append(summary)
            found[name]["keywords"] += keywords
    return [found[name] for name in sorted(found)]


def distinct(passages: list[sources.Passage]) -> list[sources.Passage]:
    """The first of those that begin alike."""
    firsts = {}
    for p in passages:
        firsts.setdefault(p.text[:80].lower(), p)
    return list(firsts.values())


def drawn(passages: list[sources.Passage], most: int) -> list[sources.Passage]:
    """So many, drawn by the digest of the text; in the order in which they stood."""
    kept = set(sorted(passages, key=lambda p: sources.digest(p.text))[:most])
    return [p for p in passages if p in kept]


FIRST_SENTENCE = re.compile(r"^(.{20,200}?[.!?])\s+(.{80,})$", re.S)


def collection(source: sources.Source, passages: list[sources.Passage]):
    """Queries of held-out passages: what a manual says of itself and the heading of a piece of documentation ask for the text under them;
    the first sentence of a dictionary's article asks for the headword and the rest of it."""
    for i, p in enumerate(passages):
        document = {"id": f"{source.name}-{i}", "text": p.text}
        if source.name == "terms":
            text = re.sub(r"^\s*(<[^>]*>|/[^/]*/|(n|adj|v|vt|vi)\.)\s*", "", re.sub(r"^\s*<[^>]*>\s*", "", p.text))
            if parts := FIRST_SENTENCE.match(text):
                first, rest = parts.groups()
                document["text"] = f"{p.title}: {rest}"
                if 4 <= len(first.split()) <= 25:
                    document["query"] = first.rstrip(".")
            else:
                document["text"] = f"{p.title}: {text}"
        elif 3 <= len(p.title.split()) <= 16:
            document["query"] = p.title
        yield document


def write(path: pathlib.Path, rows) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    n = 0
    with part.open("w") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            n += 1
    part.rename(path)
    return n


def read(path: pathlib.Path) -> list:
    with path.open() as file:
        return [json.loads(line) for line in file]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, required=True, help="working folder")
    folder = parser.parse_args().dir
    folder.mkdir(parents=True, exist_ok=True)

    print("packages", write(folder / "packages.jsonl", packages(fetch_lists(folder))), flush=True)
    unpacked, trained = folder / "packages", []
    for source in sources.SOURCES:
        sources.fetch(unpacked, source.packages)
        everything = list(source.read(unpacked))
        passages = distinct(everything)
        if source.held:
            # What stands under one heading is one answer. A heading of many is "Description" or the like, which asks for nothing.
            titles = collections.Counter(p.title for p in everything)
            passages = drawn([p for p in passages if titles[p.title] <= 6], source.most)
            print(f"held/{source.name}", write(folder / "held" / f"{source.name}.jsonl", collection(source, passages)), flush=True)
        else:
            passages = drawn(passages, source.most)
            trained += [{"source": source.name, "title": p.title, "text": p.text} for p in passages]
            print(source.name, len(passages), flush=True)
    print("passages", write(folder / "passages.jsonl", trained))


if __name__ == "__main__":
    main()
