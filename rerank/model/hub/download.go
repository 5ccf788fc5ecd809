package hub

import (
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
	"time"
)

// download gets one file of a snapshot to path. What was gotten before it broke off, in this run or an earlier one, stays in a file beside it and is not
// gotten again. The file appears under its name when it is whole and its digest is right. progress is told how many bytes came, and
// a negative number where they have to come again.
func (c *Client) download(ctx context.Context, s *Snapshot, f File, path string, progress func(bytes int64)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// Its name has the digest in it: a part of another version is another file.
	part := path + "." + (f.SHA256 + f.Blob)[:12] + ".part"
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	again := false
	for {
		if err := c.fill(ctx, s, f, out, progress); err != nil {
			return unwritten(err, f)
		}
		found, err := digestOf(out, f)
		if err != nil {
			return err
		}
		if found == f.digest() {
			break
		}
		// What came does not belong together, perhaps because of a part that another program wrote. Once it is gotten anew.
		if err := out.Truncate(0); err != nil {
			return err
		}
		progress(-f.Size)
		if again {
			return errors.Join(&Error{Message: fmt.Sprintf("%s has the digest %s and should have %s", f.Path, found, f.digest()),
				Advice: "something between here and the hub changes files; nothing was kept of it"}, os.Remove(part))
		}
		again = true
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return unwritten(err, f)
	}
	return os.Rename(part, path)
}

// fill brings out up to the file's size, going on where it ends.
func (c *Client) fill(ctx context.Context, s *Snapshot, f File, out *os.File, progress func(int64)) error {
	address := fmt.Sprintf("%s/%s/resolve/%s/%s", c.endpoint(), s.Repository, s.Commit, escapePath(f.Path))
	have, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have > f.Size {
		if err := out.Truncate(0); err != nil {
			return err
		}
		have = 0
	}
	progress(have)
	return c.retry(ctx, func() (bool, error) {
		if have == f.Size {
			return true, nil
		}
		came, err := c.fetch(ctx, s, f, address, out, &have, progress)
		return came > 0, err
	})
}

// fetch asks for what is missing of a file, and writes what comes of it.
func (c *Client) fetch(ctx context.Context, s *Snapshot, f File, address string, out *os.File, have *int64, progress func(int64)) (came int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := c.Idle
	if idle == 0 {
		idle = 30 * time.Second
	}
	stalled := time.AfterFunc(idle, func() { cancel(fmt.Errorf("nothing came for %v", idle)) })
	defer stalled.Stop()
	defer func() {
		if err != nil && context.Cause(ctx) != ctx.Err() && ctx.Err() != nil {
			err = broken(context.Cause(ctx))
		}
	}()

	// Nothing is to be compressed on the way: ranges and sizes are those of the file.
	header := http.Header{"Accept-Encoding": {"identity"}}
	if *have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", *have))
	}
	res, err := c.get(ctx, address, header)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusPartialContent:
		if from := res.Header.Get("Content-Range"); !strings.HasPrefix(from, fmt.Sprintf("bytes %d-", *have)) {
			return 0, &Error{Message: fmt.Sprintf("getting %s: the hub was asked for the bytes from %d on, and sends %q", f.Path, *have, from)}
		}
	case http.StatusOK: // all of it, whatever was asked for
		if *have > 0 {
			if err := out.Truncate(0); err != nil {
				return 0, err
			}
			progress(-*have)
			*have = 0
		}
	default:
		return 0, c.refused(res, s.Repository, s.Commit, f.Path)
	}
	if _, err := out.Seek(*have, io.SeekStart); err != nil {
		return 0, err
	}
	buffer := make([]byte, 256<<10)
	for {
		n, err := res.Body.Read(buffer)
		if n > 0 {
			stalled.Reset(idle)
			if int64(n) > f.Size-*have {
				return came, &Error{Message: fmt.Sprintf("getting %s: the hub sends more than the %d bytes that it lists", f.Path, f.Size)}
			}
			if _, err := out.Write(buffer[:n]); err != nil {
				return came, err
			}
			came, *have = came+int64(n), *have+int64(n)
			progress(int64(n))
		}
		switch {
		case err == io.EOF && *have < f.Size:
			return came, broken(fmt.Errorf("%s ended after %d of %d bytes", f.Path, *have, f.Size))
		case err == io.EOF:
			return came, nil
		case err != nil:
			return came, broken(err)
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
	return err
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
