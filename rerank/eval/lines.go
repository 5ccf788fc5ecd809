package eval

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// A LineError says what is wrong with a line of a file, and what to do about it.
type LineError struct {
	File string
	Line int // from 1
	What string
	Todo string // may be ""
}

func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.What) }

// Hint is what to do about it.
func (e *LineError) Hint() string { return e.Todo }

// maxLine bounds a line: what is longer is most likely no list of queries or judgments.
const maxLine = 16 << 20

// A lineReader reads the lines of a file that are not blank, without the ends of lines of any system.
type lineReader struct {
	file    string
	scanner *bufio.Scanner
	number  int
	text    string
	kept    bool // text has been read and is to come again
	err     error
}

func newLineReader(file string, r io.Reader) *lineReader {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	return &lineReader{file: file, scanner: s}
}

// next goes to the next line; text is it. After false, err says why there is none, if not because the file ends.
func (l *lineReader) next() bool {
	if l.kept {
		l.kept = false
		return true
	}
	for l.err == nil && l.scanner.Scan() {
		l.number++
		text := bytes.TrimSuffix(l.scanner.Bytes(), []byte("\r"))
		if l.number == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors begin every file with it
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if !utf8.Valid(text) {
			l.err = l.fault("convert it: iconv -f LATIN1 -t UTF-8", "is not text in UTF-8")
			return false
		}
		l.text = string(text)
		return true
	}
	switch err := l.scanner.Err(); {
	case l.err != nil || err == nil:
	case errors.Is(err, bufio.ErrTooLong):
		l.number++
		l.err = l.fault("a query, a judgment or a hit is one line", "is longer than %d MiB", maxLine>>20)
	default:
		l.err = fmt.Errorf("reading %s: %w", l.file, err)
	}
	return false
}

// again makes the line come once more: somebody has only looked at it.
func (l *lineReader) again() { l.kept = true }

// fault is an error about the line that was read last.
func (l *lineReader) fault(todo, format string, args ...any) error {
	return &LineError{File: l.file, Line: l.number, What: fmt.Sprintf(format, args...), Todo: todo}
}
