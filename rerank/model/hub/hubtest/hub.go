// Package hubtest is a small model hub, for tests: it speaks the part of Hugging Face's file protocol that a download needs, and can be told to
// misbehave.
package hubtest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Commit is that of every repository's main branch, unless Hub.Commit says otherwise.
const Commit = "0123456789abcdef0123456789abcdef01234567"

// Hub is one that has one repository. What is exported may be set before it is asked, or between questions.
type Hub struct {
	Repository string
	Commit     string            // "" = Commit
	Files      map[string][]byte // by path
	Large      map[string]bool   // paths that are in large file storage: those redirect to another host
	Token      string            // without which the hub gives nothing; "" = everybody may read
	Gated      bool              // the terms were not accepted

	// Serve, if it returns true, has answered a request for a file in the hub's place: n is how often the file was asked for before.
	Serve func(w http.ResponseWriter, r *http.Request, path string, content []byte, n int) bool
	// List may change the description of a revision before it is sent.
	List func(description map[string]any)
	// Refuse, if it returns a status, has the hub answer with it; n counts requests for descriptions.
	Refuse func(n int) (status int, header http.Header)

	URL     string // of the hub
	Storage string // of the host that large files are on

	mu       sync.Mutex
	asked    map[string]int
	listed   int
	requests []string // method, path, and range of each request
}

// Start has the hub listen on two loopback ports until close is called.
func (h *Hub) Start() (close func()) {
	h.asked = map[string]int{}
	front, storage := httptest.NewUnstartedServer(http.HandlerFunc(h.front)), httptest.NewUnstartedServer(http.HandlerFunc(h.storage))
	_, port, _ := net.SplitHostPort(storage.Listener.Addr().String()) // it listens on one
	h.URL, h.Storage = "http://"+front.Listener.Addr().String(), "http://localhost:"+port
	front.Start()
	storage.Start()
	return func() { front.Close(); storage.Close() }
}

// Requests are those so far, such as "GET /owner/name/resolve/…/model.onnx bytes=100-".
func (h *Hub) Requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.requests...)
}

func (h *Hub) commit() string {
	if h.Commit != "" {
		return h.Commit
	}
	return Commit
}

func (h *Hub) note(r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
}

func (h *Hub) front(w http.ResponseWriter, r *http.Request) {
	h.note(r)
	fail := func(status int, code, message string) {
		w.Header().Set("X-Error-Code", code)
		w.Header().Set("X-Error-Message", message)
		http.Error(w, message, status)
	}
	switch authorized := h.Token == "" || r.Header.Get("Authorization") == "Bearer "+h.Token; {
	case !authorized && r.Header.Get("Authorization") == "" && h.Gated:
		fail(http.StatusUnauthorized, "GatedRepo", "Access to model is restricted.")
		return
	case !authorized:
		fail(http.StatusUnauthorized, "RepoNotFound", "Repository not found")
		return
	case h.Gated:
		fail(http.StatusForbidden, "GatedRepo", "You are not in the authorized list.")
		return
	}
	if path, ok := strings.CutPrefix(r.URL.Path, "/"+h.Repository+"/resolve/"); ok {
		commit, path, _ := strings.Cut(path, "/")
		content, ok := h.Files[path]
		switch {
		case !ok || commit != h.commit():
			fail(http.StatusNotFound, "EntryNotFound", "Entry not found")
		case h.Large[path]:
			http.Redirect(w, r, h.Storage+"/"+path+"?signature=1", http.StatusFound)
		default:
			h.file(w, r, path, content)
		}
		return
	}
	revision, ok := strings.CutPrefix(r.URL.Path, "/api/models/"+h.Repository+"/revision/")
	switch {
	case !ok:
		fail(http.StatusNotFound, "RepoNotFound", "Repository not found")
		return
	case revision != "main" && revision != h.commit():
		fail(http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	h.mu.Lock()
	n := h.listed
	h.listed++
	h.mu.Unlock()
	if h.Refuse != nil {
		if status, header := h.Refuse(n); status != 0 {
			for name, values := range header {
				w.Header()[name] = values
			}
			http.Error(w, "not now", status)
			return
		}
	}
	description := map[string]any{"id": h.Repository, "sha": h.commit(), "siblings": h.siblings()}
	if h.List != nil {
		h.List(description)
	}
	_ = json.NewEncoder(w).Encode(description)
}

func (h *Hub) siblings() []any {
	var all []any
	for path, content := range h.Files {
		blob := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content))
		f := map[string]any{"rfilename": path, "size": len(content), "blobId": hex.EncodeToString(blob[:])}
		if h.Large[path] {
			sum := sha256.Sum256(content)
			pointer := sha1.Sum([]byte(path)) // the blob of a large file is a pointer's, and says nothing about the file
			f["blobId"] = hex.EncodeToString(pointer[:])
			f["lfs"] = map[string]any{"sha256": hex.EncodeToString(sum[:]), "size": len(content), "pointerSize": 134}
		}
		all = append(all, f)
	}
	return all
}

// storage refuses requests with a token, as storage does whose addresses are signed.
func (h *Hub) storage(w http.ResponseWriter, r *http.Request) {
	h.note(r)
	path := strings.TrimPrefix(r.URL.Path, "/")
	if r.Header.Get("Authorization") != "" || r.URL.Query().Get("signature") == "" {
		http.Error(w, "only one auth mechanism allowed", http.StatusBadRequest)
		return
	}
	h.file(w, r, path, h.Files[path])
}

func (h *Hub) file(w http.ResponseWriter, r *http.Request, path string, content []byte) {
	h.mu.Lock()
	n := h.asked[path]
	h.asked[path]++
	h.mu.Unlock()
	if h.Serve != nil && h.Serve(w, r, path, content, n) {
		return
	}
	http.ServeContent(w, r, path, time.Time{}, bytes.NewReader(content))
}

// Cut answers with what was asked for, but for its end: after so many bytes the connection breaks.
func Cut(w http.ResponseWriter, r *http.Request, content []byte, after int) {
	from := 0
	_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
	w.Header().Set("Content-Length", fmt.Sprint(len(content)-from))
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(content[from:min(from+after, len(content))])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
