"""The texts that the model is made from and measured on: Debian packages, fetched without touching the system, and read into passages.

Every source has a licence. Of those that are held, the collections that the evaluation makes, no text is trained on.
Nothing of them is kept in the repository.
"""

import dataclasses
import gzip
import hashlib
import html.parser
import pathlib
import re
import subprocess
import typing


class Passage(typing.NamedTuple):
    """A stretch of text of some hundred characters, and the heading or headword that it stands under."""

    title: str
    text: str


@dataclasses.dataclass(frozen=True)
class Source:
    """Debian packages of one genre.

    read: from the folder that the packages are unpacked in to passages, in a fixed order.
    most: how many passages are kept at most, drawn by their digest; so that no genre outweighs the others.
    """

    name: str
    packages: tuple[str, ...]
    licence: str
    read: typing.Callable[[pathlib.Path], typing.Iterator[Passage]]
    most: int = 2500
    held: bool = False


def fetch(folder: pathlib.Path, packages: typing.Iterable[str]) -> None:
    """Downloads packages with apt-get and unpacks each into folder/NAME. What is there already is left."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in packages:
        if (folder / name).exists():
            continue
        for old in folder.glob(f"{name}_*.deb"):
            old.unlink()
        subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=", name], cwd=folder, check=True)
        (deb,) = folder.glob(f"{name}_*.deb")
        subprocess.run(["dpkg-deb", "-x", deb.name, f"{name}.part"], cwd=folder, check=True)
        (folder / f"{name}.part").rename(folder / name)
        deb.unlink()


def digest(text: str) -> int:
    """A number that the text alone decides: what draws and splits by it is the same on every machine."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16)


def flat(text: str) -> str:
    return " ".join(text.split())


SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")


def cut(title: str, text: str, shortest: int = 120, longest: int = 480) -> typing.Iterator[Passage]:
    """Cuts a text at ends of sentences into passages of so many characters. A sentence that is longer alone stands alone, up to 900."""
    title, passage = flat(title), ""
    for sentence in [*SENTENCE_END.split(flat(text)), None]:
        if sentence is None or (passage and len(passage) + len(sentence) > longest):
            if shortest <= len(passage) <= 900:
                yield Passage(title, passage)
            passage = ""
        passage = f"{passage} {sentence}".strip()


def contents(path: pathlib.Path) -> str:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data.decode("utf-8", "replace")


class Sections(html.parser.HTMLParser):
    """The sections of a page of HTML, or of Mallard: pairs of a heading and the running text under it."""

    HEADING = re.compile(r"h[1-6]|title")
    SKIPPED = {"script", "style", "pre", "nav", "table", "screen", "info"}

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: list[tuple[str, str]] = []
        self.heading, self.words = "", []
        self.in_heading, self.skipping = False, 0

    def handle_starttag(self, tag, attrs):
        if tag in self.SKIPPED:
            self.skipping += 1
        elif self.HEADING.fullmatch(tag):
            self.end()
            self.in_heading = True
        elif tag in ("p", "li", "br", "div", "dd", "dt", "item"):
            self.words.append(" ")

    def handle_endtag(self, tag):
        if tag in self.SKIPPED:
            self.skipping = max(0, self.skipping - 1)
        elif self.HEADING.fullmatch(tag):
            self.in_heading = False

    def handle_data(self, data):
        if self.in_heading:
            self.heading += data
        elif not self.skipping:
            self.words.append(data)

    def end(self):
        self.sections.append((self.heading, " ".join(self.words)))
        self.heading, self.words = "", []


# Numbers before a heading: "A.3.2 ", "12.4. ", "J.1 ".
NUMBERING = re.compile(r"^(Chapter\s+|Appendix\s+|Section\s+)?([A-Z]?[\d.]+|[A-Z]\.)[\d.]*:?\s+")


def pages(*patterns: str):
    """A reader of pages of HTML or Mallard."""

    def read(folder: pathlib.Path) -> typing.Iterator[Passage]:
        for path in sorted({p for pattern in patterns for p in folder.glob(pattern) if p.is_file()}):
            page = Sections()
            page.feed(contents(path))
            page.end()
            for heading, text in page.sections:
                yield from cut(NUMBERING.sub("", flat(heading)).strip(" ¶"), text)

    return read


def wordnet(folder: pathlib.Path) -> typing.Iterator[Passage]:
    """Senses with the words for them; see the manual page wndb(5WN)."""
    for part in ("noun", "verb", "adj"):
        for line in (folder / f"wordnet-base/usr/share/wordnet/data.{part}").read_text(encoding="latin1").splitlines():
            if line.startswith("  "):
                continue  # the licence
            head, _, gloss = line.partition(" | ")
            fields = head.split()
            words = [fields[4 + 2 * i].replace("_", " ") for i in range(int(fields[3], 16))]
            if len(gloss) > 70:
                yield Passage(", ".join(words[:2]), flat(gloss).replace('; "', '. "'))


def dictionary(package: str, name: str, headword_in_text: bool = False):
    """A reader of a dictionary in the format of dictd: an index of offsets and lengths, in digits of base 64."""
    digits = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}

    def number(text: str) -> int:
        n = 0
        for c in text:
            n = 64 * n + digits[c]
        return n

    def read(folder: pathlib.Path) -> typing.Iterator[Passage]:
        base = folder / package / "usr/share/dictd"
        data = gzip.decompress((base / f"{name}.dict.dz").read_bytes())
        seen = set()
        for line in (base / f"{name}.index").read_text(encoding="utf-8", errors="replace").splitlines():
            headword, offset, length = line.split("\t")[:3]
            if headword.startswith("00-") or offset in seen:
                continue
            seen.add(offset)
            text = data[number(offset) : number(offset) + number(length)].decode("utf-8", "replace")
            if not headword_in_text:
                text = text.partition("\n")[2]
            text = re.sub(r"\[[^\]]{0,40}\]|[{}\\]", "", text)
            if len(text) >= 150:
                yield from list(cut(headword, text[:1400]))[:2]

    return read


def pod(folder: pathlib.Path) -> typing.Iterator[Passage]:
    """Perl's documentation, in its own markup; see perlpod(1)."""
    code = re.compile(r"[A-Z]<+\s*([^<>]*?)\s*>+")
    for path in sorted(folder.glob("perl-doc/**/*.pod")):
        title, text = "", ""
        for paragraph in [*re.split(r"\n\s*\n", contents(path)), "=head1 end"]:
            if paragraph.startswith(("=head", "=item")):
                yield from cut(title, text)
                title, text = code.sub(r"\1", flat(re.sub(r"^=\w+", "", paragraph))), ""
            elif paragraph[:1] not in (" ", "\t", "=", ""):
                text += " " + code.sub(r"\1", paragraph)


def manuals(folder: pathlib.Path) -> typing.Iterator[Passage]:
    """Manual pages: the title of a passage is what the page says of itself under NAME; see man(7)."""

    def plain(line: str) -> str:
        line = re.sub(r"\\f(?:\([A-Z]{2}|[A-Z]|\[\w*\])|\\s[-+]?\d|\\&", "", line)
        for code, character in (("\\-", "-"), ("\\(en", "-"), ("\\(em", "-"), ("\\(aq", "'"), ("\\(cq", "'"), ("\\(oq", "'"), ("\\e", "\\")):
            line = line.replace(code, character)
        return re.sub(r"\\\(..|\\", "", line)

    paths = [p for package in ("git-man", "manpages", "manpages-dev") for p in folder.glob(f"{package}/usr/share/man/man[1-8]/*.gz")]
    for path in sorted(paths):
        name, section, lines = "", "", []
        for line in [*contents(path).split("\n"), ".SH end"]:
            if line.startswith((".SH", ".SS")):
                if section == "NAME":
                    name = flat(" ".join(lines)).partition(" - ")[2]
                elif section in ("DESCRIPTION", "NOTES", "BUGS") and name:
                    yield from list(cut(name, " ".join(lines)))[:3]
                section, lines = line[4:].strip().strip('"'), []
            elif line.startswith((".B", ".I", ".R")):
                lines.append(plain(re.sub(r"^\.\w+\s*", "", line)).replace('"', ""))
            elif not line.startswith((".", "'")):
                lines.append(plain(line))


def both(*readers):
    def read(folder: pathlib.Path) -> typing.Iterator[Passage]:
        for reader in readers:
            yield from reader(folder)

    return read


SOURCES = (
    Source("anarchism", ("anarchism",), "GPL-2", pages("anarchism/**/sec*.html"), most=4000),
    Source("handbook", ("debian-handbook",), "GPL-2+ or CC-BY-SA-3.0", pages("debian-handbook/**/en-US/*.html")),
    Source(
        "debian-texts",
        ("debian-faq", "debian-policy", "debian-history", "debian-reference-en", "developers-reference"),
        "GPL-2, GPL-2+; the FAQ under a copyleft of its own",
        pages("debian-faq/**/*.en.html", "debian-policy/**/*.html", "debian-history/**/*.en.html", "debian-reference-en/**/*.en.html", "developers-reference/**/*.html"),
    ),
    Source("gimp", ("gimp-help-en",), "GFDL-1.2+", pages("gimp-help-en/**/en/*.html")),
    Source("gnome", ("gnome-user-docs",), "CC-BY-SA-3.0", pages("gnome-user-docs/usr/share/help/C/**/*.page")),
    Source("libreoffice", ("libreoffice-help-en-us",), "MPL-2.0", pages("libreoffice-help-en-us/**/en-US/text/**/*.html"), most=3000),
    Source("postgresql", ("postgresql-doc-15",), "PostgreSQL", pages("postgresql-doc-15/**/*.html"), most=3000),
    Source("apache", ("apache2-doc",), "Apache-2.0", pages("apache2-doc/**/*.html.en", "apache2-doc/**/en/**/*.html")),
    Source("sqlite", ("sqlite3-doc",), "public domain, parts GPL-2+", pages("sqlite3-doc/**/*.html"), most=3000),
    Source("octave", ("octave-doc",), "GPL-3+", pages("octave-doc/**/*.html")),
    Source("maxima", ("maxima-doc",), "GPL-2", pages("maxima-doc/**/*.html"), most=1500),
    Source("exim", ("exim4-doc-html",), "GPL-2+", pages("exim4-doc-html/**/*.html"), most=1500),
    Source("bash", ("bash-doc",), "GFDL-1.3+", pages("bash-doc/**/*.html"), most=500),
    Source("wordnet", ("wordnet-base",), "WordNet (in the manner of BSD)", wordnet, most=4000),
    Source("gcide", ("dict-gcide",), "GPL-2+", dictionary("dict-gcide", "gcide", headword_in_text=True), most=3000),
    Source("manuals", ("git-man", "manpages", "manpages-dev"), "GPL-2 and others, page by page", manuals, most=4000, held=True),
    Source("perl", ("perl-doc",), "GPL-1+ or Artistic", pod, most=4000, held=True),
    Source(
        "terms",
        ("dict-foldoc", "dict-jargon"),
        "GFDL-1.1+ and public domain",
        both(dictionary("dict-foldoc", "foldoc"), dictionary("dict-jargon", "jargon")),
        most=4000,
        held=True,
    ),
)
