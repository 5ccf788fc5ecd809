package hub

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// download gets one file of a snapshot and returns where it lies: in a file beside its place, whole and with the right digest. What was
// gotten before a transfer broke off, in this run or an earlier one, is there and is not gotten again. r is told of what comes.
func (c *Client) download(ctx context.Context, s *Snapshot, f File, path string, r Request) (part string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", unwritten(err, f)
	}
	part = partOf(path, f)
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return "", unwritten(err, f)
	}
	defer out.Close()
	t := &transfer{
		file: f, out: out, progress: func(n int64) { r.Progress(f, n) },
		address: fmt.Sprintf("%s/%s/resolve/%s/%s", c.endpoint(), s.Repository, s.Commit, escapePath(f.Path)),
		refused: func(res *http.Response) error { return c.refused(res, s.Repository, s.Commit, f.Path) },
	}
	if err := t.begin(); err != nil {
		return "", err
	}
	r.Held(f, t.have)
	again := false
	for {
		if err := c.fill(ctx, t); err != nil {
			return "", unwritten(err, f)
		}
		found, err := digestOf(out, f)
		if err != nil {
			return "", err
		}
		if found == f.digest() {
			break
		}
		// What came does not belong together, perhaps because of a part that another program wrote. Once it is gotten anew.
		if err := t.startOver(); err != nil {
			return "", err
		}
		if again {
			return "", errors.Join(&Error{Message: fmt.Sprintf("%s has the digest %s and should have %s", f.Path, found, f.digest()),
				Advice: "something between here and the hub changes files; nothing was kept of it"}, os.Remove(part))
		}
		again = true
	}
	return part, unwritten(errors.Join(out.Sync(), out.Close()), f)
}

// partOf is where a file lies until all of the model is there. The digest in its name makes the part of another version another file, so
// that what is in it can be gone on with whatever happened meanwhile: a conditional request (If-Range) would add nothing to that.
func partOf(path string, f File) string { return path + "." + (f.SHA256 + f.Blob)[:12] + ".part" }

// A transfer brings one file.
type transfer struct {
	file     File
	address  string
	refused  func(*http.Response) error
	out      *os.File
	have     int64 // bytes in out
	progress func(bytes int64)
}

// enough is how much more than ever before a try must have brought so that it counts as progress. Less is no connection to go on with.
const enough = 64 << 10

// begin finds what an earlier run has left.
func (t *transfer) begin() (err error) {
	if t.have, err = t.out.Seek(0, io.SeekEnd); err == nil && t.have > t.file.Size {
		t.have, err = 0, t.out.Truncate(0)
	}
	return err
}

// fill brings out up to the file's size, going on where it ends.
func (c *Client) fill(ctx context.Context, t *transfer) error {
	most := t.have // at any time: what is brought again is no progress
	return c.retry(ctx, func() (bool, error) {
		if t.have == t.file.Size {
			return true, nil
		}
		err := c.fetch(ctx, t)
		further := t.have >= most+enough
		most = max(most, t.have)
		return further, err
	})
}

// startOver forgets what has come.
func (t *transfer) startOver() error {
	t.progress(-t.have)
	t.have = 0
	return t.out.Truncate(0)
}

// fetch asks for what is missing of a file, and writes what comes of it.
func (c *Client) fetch(ctx context.Context, t *transfer) (err error) {
	ctx, alive, stop := c.watch(ctx)
	defer func() { err = stop(err) }()

	// Nothing is to be compressed on the way: ranges and sizes are those of the file.
	header := http.Header{"Accept-Encoding": {"identity"}}
	if t.have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", t.have))
	}
	res, err := c.get(ctx, t.address, header)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch s, from := res.StatusCode, res.Header.Get("Content-Range"); {
	case s == http.StatusPartialContent && strings.HasPrefix(from, fmt.Sprintf("bytes %d-", t.have)):
	case s == http.StatusPartialContent, s == http.StatusRequestedRangeNotSatisfiable:
		err := &tryAgain{err: &Error{Message: fmt.Sprintf("getting %s: the hub was asked for the bytes from %d on, and sends %q (%d)", t.file.Path, t.have, from, s),
			Advice: "try again later, or another --revision"}}
		return cmp.Or(t.startOver(), error(err)) // without a range it may do better
	case s == http.StatusOK: // all of it, whatever was asked for
		if t.have > 0 {
			if err := t.startOver(); err != nil {
				return err
			}
		}
	default:
		return t.refused(res)
	}
	if _, err := t.out.Seek(t.have, io.SeekStart); err != nil {
		return err
	}
	buffer := make([]byte, 256<<10)
	for {
		n, err := res.Body.Read(buffer)
		if n > 0 {
			alive()
			if int64(n) > t.file.Size-t.have {
				return &Error{Message: fmt.Sprintf("getting %s: the hub sends more than the %d bytes that it lists", t.file.Path, t.file.Size)}
			}
			if _, err := t.out.Write(buffer[:n]); err != nil {
				return err
			}
			t.have += int64(n)
			t.progress(int64(n))
		}
		switch {
		case err == io.EOF && t.have < t.file.Size:
			return broken(fmt.Errorf("%s ended after %d of %d bytes", t.file.Path, t.have, t.file.Size))
		case err == io.EOF:
			return nil
		case err != nil:
			return broken(err)
		}
	}
}

// unwritten says what to do where the disk is the matter.
func unwritten(err error, f File) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) {
			return &Error{Message: fmt.Sprintf("writing %s, %s", f.Path, Size(f.Size)), Err: err,
				Advice: "make room, or give another place with --to; what has come is kept and not gotten again"}
		}
	}
	return forbidden(err)
}

// digest is the one that the hub gives for the file.
func (f File) digest() string {
	if f.SHA256 != "" {
		return "sha256:" + f.SHA256
	}
	return "git:" + f.Blob
}

// digestOf computes the digest of what stands in r from its beginning, of the kind that f has.
func digestOf(r io.ReadSeeker, f File) (string, error) {
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	var sum hash.Hash
	kind := "sha256:"
	if f.SHA256 != "" {
		sum = sha256.New()
	} else {
		kind, sum = "git:", sha1.New()
		fmt.Fprintf(sum, "blob %d\x00", size)
	}
	if _, err := io.Copy(sum, r); err != nil {
		return "", err
	}
	return kind + hex.EncodeToString(sum.Sum(nil)), nil
}

func escapePath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// Size is a number of bytes for people, in decimal units as the hub's pages show them.
func Size(bytes int64) string {
	for _, u := range []struct {
		one  int64
		name string
	}{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if bytes >= u.one {
			return fmt.Sprintf("%.1f %s", float64(bytes)/float64(u.one), u.name)
		}
	}
	return fmt.Sprintf("%d B", bytes)
}
