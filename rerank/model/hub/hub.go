// Package hub gets published models from a model hub that speaks Hugging Face's file protocol, and keeps them as they were gotten.
//
// A model is pulled at one commit, whatever its branch does meanwhile, and every file is checked against the digest that the hub gives for
// it: the SHA-256 of files in large file storage, the git blob id of all others. What was gotten is written down in a lock file beside
// the files ([LockName]), by which they can be verified at any time without the hub.
package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// DefaultEndpoint is the hub where nothing else is said.
const DefaultEndpoint = "https://huggingface.co"

// Client talks to one hub.
type Client struct {
	Endpoint string // without a final slash; "" = DefaultEndpoint
	Token    string // of an account that may read the model; "" = none. It goes to the endpoint's host alone
	Agent    string // User-Agent

	HTTP  *http.Client                               // nil = one that heeds HTTPS_PROXY and NO_PROXY
	Sleep func(context.Context, time.Duration) error // waits between tries; nil = time itself
	Idle  time.Duration                              // a download that brings nothing for so long is cut; 0 = 30 s
	Warn  func(format string, args ...any)           // what went wrong and is tried again; nil: nobody is told
}

// Error is a failure with what to do about it.
type Error struct {
	Message string
	Advice  string
	Err     error // behind it, or nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Hint says what to do about it, for the person at the terminal.
func (e *Error) Hint() string { return e.Advice }

// Snapshot is a repository at one commit.
type Snapshot struct {
	Repository string
	Commit     string // 40 hexadecimal digits
	Files      []File
}

// File is one file of a repository, with the digest of its kind.
type File struct {
	Path   string `json:"path"` // with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // of a file in large file storage
	Blob   string `json:"blob,omitempty"`   // git's id of any other: SHA-1 of "blob SIZE\0" and the content
}

var (
	repositoryName = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)?$`)
	commitID       = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Digest   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Snapshot resolves a revision (a branch, a tag, a commit) and lists the files of its commit.
func (c *Client) Snapshot(ctx context.Context, repository, revision string) (*Snapshot, error) {
	if !repositoryName.MatchString(repository) || slices.ContainsFunc(strings.Split(repository, "/"), func(part string) bool { return strings.Trim(part, ".") == "" }) {
		return nil, &Error{Message: fmt.Sprintf("%q is no name of a model on a hub", repository), Advice: "write it as OWNER/NAME, such as mixedbread-ai/mxbai-rerank-xsmall-v1"}
	}
	address := fmt.Sprintf("%s/api/models/%s/revision/%s?blobs=true", c.endpoint(), repository, url.PathEscape(revision))
	var body []byte
	err := c.retry(ctx, func() (_ bool, err error) {
		ctx, _, stop := c.watch(ctx)
		defer func() { err = stop(err) }()
		res, err := c.get(ctx, address, nil)
		if err != nil {
			return false, err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return false, c.refused(res, repository, revision, "")
		}
		const limit = 64 << 20
		if body, err = io.ReadAll(io.LimitReader(res.Body, limit+1)); err == nil && len(body) > limit {
			return false, &Error{Message: "the hub's list of files is larger than 64 MiB"}
		}
		return false, broken(err)
	})
	if err != nil {
		return nil, err
	}
	s, err := parseSnapshot(body)
	if err != nil {
		return nil, &Error{Message: "reading the hub's answer about " + repository, Err: err, Advice: c.endpointAdvice()}
	}
	s.Repository = repository
	return s, nil
}

// parseSnapshot reads the hub's description of a revision. Nothing of it is believed that could lead out of a directory.
func parseSnapshot(body []byte) (*Snapshot, error) {
	var d struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
			Size *int64 `json:"size"`
			Blob string `json:"blobId"`
			LFS  *struct {
				SHA256 string `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return nil, err
	}
	if !commitID.MatchString(d.SHA) {
		return nil, fmt.Errorf("%.80q is no commit", d.SHA)
	}
	s := &Snapshot{Commit: d.SHA}
	for _, f := range d.Siblings {
		file := File{Path: f.Name}
		switch {
		case f.LFS != nil && sha256Digest.MatchString(f.LFS.SHA256):
			file.Size, file.SHA256 = f.LFS.Size, f.LFS.SHA256
		case f.LFS == nil && commitID.MatchString(f.Blob) && f.Size != nil:
			file.Size, file.Blob = *f.Size, f.Blob
		default:
			return nil, fmt.Errorf("%.200q comes without a digest to check it by", f.Name)
		}
		if file.Size < 0 {
			return nil, fmt.Errorf("%.200q has %d bytes", f.Name, file.Size)
		}
		if err := local(f.Name); err != nil {
			return nil, err
		}
		s.Files = append(s.Files, file)
	}
	return s, nil
}

// local refuses a path that is not one of a file below a directory, on any system, and one that a terminal would not show as it is.
func local(path string) error {
	if path == "" || !filepath.IsLocal(filepath.FromSlash(path)) || strings.ContainsAny(path, `\:`) ||
		strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) || filepath.ToSlash(filepath.Clean(path)) != path {
		return fmt.Errorf("%.200q is no path within a directory", path)
	}
	return nil
}

func (c *Client) endpoint() string {
	if c.Endpoint == "" {
		return DefaultEndpoint
	}
	return strings.TrimRight(c.Endpoint, "/")
}

func (c *Client) endpointAdvice() string {
	return fmt.Sprintf("is %s a model hub? HF_ENDPOINT names another, HTTPS_PROXY a proxy", c.endpoint())
}

// get asks for an address. The token goes to the endpoint's host only, and not along with a redirection to where the hub keeps its files:
// such addresses are signed, and are refused with a token beside the signature.
func (c *Client) get(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &Error{Message: "asking the hub", Err: err, Advice: c.endpointAdvice()}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if c.Agent != "" {
		req.Header.Set("User-Agent", c.Agent)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client := http.Client{Transport: http.DefaultTransport}
	if c.HTTP != nil {
		client = *c.HTTP
	}
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("stopped after 10 redirections")
		}
		if next.URL.Host != via[0].URL.Host || next.URL.Scheme != via[0].URL.Scheme {
			next.Header.Del("Authorization")
		}
		return nil
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, broken(err)
	}
	return res, nil
}

// refused makes an error of an answer that is not what was asked for.
func (c *Client) refused(res *http.Response, repository, revision, path string) error {
	code := res.Header.Get("X-Error-Code")
	page := c.endpoint() + "/" + repository
	switch s := res.StatusCode; {
	case code == "GatedRepo" || s == http.StatusForbidden:
		return &Error{Message: fmt.Sprintf("%s is gated: the hub gives it to those who have accepted its terms (%d)", repository, s),
			Advice: "accept them at " + page + " and set HF_TOKEN to a token of that account"}
	case s == http.StatusUnauthorized && c.Token != "":
		return &Error{Message: fmt.Sprintf("the hub does not know %s, or does not accept the token for it (%d)", repository, s), Advice: "check the name, and HF_TOKEN"}
	case s == http.StatusUnauthorized:
		return &Error{Message: fmt.Sprintf("the hub gives %s to nobody without a token, if it is there at all (%d)", repository, s),
			Advice: "check the name; for a private or gated model set HF_TOKEN to a token of an account that may read it"}
	case code == "RevisionNotFound" || s == http.StatusNotFound && path == "" && code == "" && revision != "main":
		return &Error{Message: fmt.Sprintf("%s has no revision %q (%d)", repository, revision, s), Advice: "--revision takes a branch, a tag or a commit"}
	case s == http.StatusNotFound && path != "":
		return &Error{Message: fmt.Sprintf("the hub lists %s of %s and does not have it (%d)", path, repository, s), Advice: "try again later, or another --revision"}
	case s == http.StatusNotFound:
		return &Error{Message: fmt.Sprintf("%s has no model %s (%d)", c.endpoint(), repository, s), Advice: "check the name: OWNER/NAME, as the hub's page shows it"}
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable || s >= 500:
		after, advice := retryAfter(res), "try again later"
		if after > 0 {
			advice = fmt.Sprintf("the hub asks to be left alone for %v; a token in HF_TOKEN has a higher limit", after)
		}
		return &tryAgain{after: after, err: &Error{Message: "the hub answers " + res.Status, Advice: advice}}
	}
	said, _ := io.ReadAll(io.LimitReader(res.Body, 200))
	return &Error{Message: fmt.Sprintf("the hub answers %s: %q", res.Status, said), Advice: c.endpointAdvice()}
}

// retryAfter is what an answer says in Retry-After, in seconds or as a time; 0 where nothing that can be read.
func retryAfter(res *http.Response) time.Duration {
	said := res.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(said); err == nil {
		return time.Duration(min(max(seconds, 0), 1<<30)) * time.Second
	}
	if at, err := http.ParseTime(said); err == nil {
		return max(0, time.Until(at)).Round(time.Second)
	}
	return 0
}

// tryAgain is an error that may be gone the next time.
type tryAgain struct {
	err   error
	after time.Duration // as the hub asks for; 0 = nothing said
}

func (t *tryAgain) Error() string { return t.err.Error() }
func (t *tryAgain) Unwrap() error { return t.err }

// broken is an error of the connection, which may be gone the next time.
func broken(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return &tryAgain{err: &Error{Message: "the connection to the hub broke", Err: err, Advice: "HF_ENDPOINT names another hub, HTTPS_PROXY a proxy"}}
}

const (
	tries   = 5               // in a row without any progress
	longest = 5 * time.Minute // the hub counts requests over so long
)

// retry tries until do succeeds or fails for good; do says whether it came further than the time before.
func (c *Client) retry(ctx context.Context, do func() (progress bool, err error)) error {
	for failed := 0; ; {
		progress, err := do()
		var again *tryAgain
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &again):
			return err
		}
		if progress {
			failed = 0
		}
		if failed++; failed == tries {
			return again.err
		}
		wait := max(again.after, time.Second<<(failed-1))
		if wait > longest {
			return again.err
		}
		if c.Warn != nil {
			c.Warn("%v; trying again in %v", again.err, wait)
		}
		if err := c.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// watch ends a context when nothing comes for c.Idle; alive says that something came. stop ends the watch, and says of an error that it was
// this.
func (c *Client) watch(ctx context.Context) (_ context.Context, alive func(), stop func(error) error) {
	idle := c.Idle
	if idle == 0 {
		idle = 30 * time.Second
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stalled := fmt.Errorf("nothing came for %v", idle)
	timer := time.AfterFunc(idle, func() { cancel(stalled) })
	return ctx, func() { timer.Reset(idle) }, func(err error) error {
		timer.Stop()
		defer cancel(nil)
		if err != nil && context.Cause(ctx) == stalled {
			return broken(stalled)
		}
		return err
	}
}

func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	if c.Sleep != nil {
		return c.Sleep(ctx, d)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
