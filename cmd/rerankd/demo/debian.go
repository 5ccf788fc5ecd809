package demo

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// An obstacle is an error that its reader can do something about.
type obstacle struct{ what, hint string }

func (o obstacle) Error() string { return o.what }
func (o obstacle) Hint() string  { return o.hint }

var errNotDebian = obstacle{
	what: "this machine is not Debian, so there are no package descriptions to take from it",
	hint: `take other documents: --data FILE.ndjson, one JSON object a line with "name", "summary", "description" and "queries" (searches that it should answer)`,
}

const aptHelper = "/usr/lib/apt/apt-helper"

// readDebian fetches the lists of the machine's own Debian release into dir, touching nothing else of the system, and reads from them every
// package of the main section. Needs no root.
func readDebian(dir string, log io.Writer) ([]Document, error) {
	if _, err := os.Stat(aptHelper); err != nil {
		return nil, errNotDebian
	}
	lists := filepath.Join(dir, "lists")
	if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
		return nil, fmt.Errorf("making a folder for the package lists: %w", err)
	}
	fmt.Fprintln(log, "Fetching Debian's package lists (about 40 MB) …")
	update := exec.Command("apt-get", "update", "-qq",
		"-o", "Dir::State::lists="+lists,
		"-o", "Dir::Cache="+filepath.Join(dir, "cache"),
		"-o", "APT::Sandbox::User=", // the folder is ours alone
		"-o", "Acquire::Languages=en", // many images switch the long descriptions off
		// AppStream's lists, which apt fetches by itself only where a software centre is installed.
		"-o", "Acquire::IndexTargets::deb::DEP-11::MetaKey=$(COMPONENT)/dep11/Components-$(NATIVE_ARCHITECTURE).yml",
		"-o", "Acquire::IndexTargets::deb::DEP-11::ShortDescription=Components",
		"-o", "Acquire::IndexTargets::deb::DEP-11::Description=AppStream metadata",
		"-o", "Acquire::IndexTargets::deb::DEP-11::KeepCompressed=true",
	)
	complaint, updateErr := update.CombinedOutput() // a foreign source that cannot be reached is no obstacle
	release, err := debianRelease(lists)
	if err != nil {
		if updateErr != nil {
			err = fmt.Errorf("%w: apt-get update: %w: %s", err, updateErr, bytes.TrimSpace(complaint))
		}
		return nil, err
	}

	descriptions := make(map[string]string) // by the digest with which the package lists refer to them
	err = eachList(release+"_main_i18n_Translation-en*", func(text string) {
		for stanza := range strings.SplitSeq(text, "\n\n") {
			if d := field(stanza, "Description-en"); d != "" {
				descriptions[field(stanza, "Description-md5")] = d
			}
		}
	})
	if err != nil {
		return nil, err
	}
	packages := make(map[string]*Document)
	err = eachList(release+"_main_binary-*_Packages*", func(text string) {
		for stanza := range strings.SplitSeq(text, "\n\n") {
			if d := debianPackage(stanza, descriptions); d != nil {
				packages[d.Name] = d
			}
		}
	})
	if err != nil {
		return nil, err
	}
	err = eachList(release+"_main_dep11_Components-*", func(text string) {
		for _, q := range readAppStream(text) {
			if d := packages[q.packageName]; d != nil {
				d.Queries = append(d.Queries, q.texts...)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	documents := make([]Document, 0, len(packages))
	for _, d := range packages {
		slices.Sort(d.Queries)
		d.Queries = slices.Compact(d.Queries)
		documents = append(documents, *d)
	}
	slices.SortFunc(documents, func(a, b Document) int { return strings.Compare(a.Name, b.Name) })
	return documents, nil
}

// debianRelease finds the lists of the release itself: not its updates, nor anybody else's archive. It returns the start of their file names.
func debianRelease(lists string) (string, error) {
	files, err := filepath.Glob(filepath.Join(lists, "*Release"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading the package lists: %w", err)
		}
		head, _, _ := strings.Cut(string(text), "\nSHA256:")
		if strings.Contains(head, "\nOrigin: Debian\n") && strings.Contains(head, "\nLabel: Debian\n") && !strings.Contains(field(head, "Codename"), "-") {
			file = strings.TrimSuffix(file, "Release")
			file = strings.TrimSuffix(strings.TrimSuffix(file, "In"), "_")
			return file, nil
		}
	}
	return "", errNotDebian
}

// eachList reads the lists that match the pattern, however apt has compressed them.
func eachList(pattern string, read func(text string)) error {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("reading the package lists: nothing matches %s", pattern)
	}
	for _, file := range files {
		text, err := exec.Command(aptHelper, "cat-file", file).Output()
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		read(string(text))
	}
	return nil
}

func debianPackage(stanza string, descriptions map[string]string) *Document {
	name := field(stanza, "Package")
	if name == "" {
		return nil
	}
	text := descriptions[field(stanza, "Description-md5")]
	if text == "" {
		text = field(stanza, "Description")
	}
	summary, long, _ := strings.Cut(text, "\n")
	source, _, _ := strings.Cut(field(stanza, "Source"), " ")
	if source == "" {
		source = name
	}
	size, _ := strconv.ParseInt(field(stanza, "Size"), 10, 64) // a package without a size has none to show
	return &Document{
		Name:        name,
		Summary:     strings.TrimSpace(summary),
		Description: paragraphs(long),
		Section:     field(stanza, "Section"),
		Homepage:    field(stanza, "Homepage"),
		Size:        size,
		Source:      source,
	}
}

// field returns the value of one field of a stanza, with its continuation lines.
func field(stanza, name string) string {
	_, value, ok := strings.Cut("\n"+stanza, "\n"+name+":")
	if !ok {
		return ""
	}
	var b strings.Builder
	for i, line := range strings.Split(value, "\n") {
		if i > 0 {
			if line == "" || (line[0] != ' ' && line[0] != '\t') {
				break
			}
			b.WriteByte('\n')
		}
		b.WriteString(strings.TrimSpace(line))
	}
	return b.String()
}

// paragraphs joins the lines of a Debian description, in which a lone dot stands for an empty line.
func paragraphs(text string) string {
	var b strings.Builder
	separator := ""
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == ".":
			separator = "\n"
		case line != "":
			if b.Len() > 0 {
				b.WriteString(separator)
			}
			b.WriteString(line)
			separator = " "
		}
	}
	return b.String()
}
