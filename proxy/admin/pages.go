package admin

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"time"
)

// The pages are HTML of this process, with a style sheet and scripts from files of this process and from nowhere else; where scripting is
// off they show the same.

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// A site is the pages for people.
type site struct{ Options }

// layout is what all pages have in common. Each page has a clone of it with its own "main".
var layout = template.Must(template.New("layout.html").Funcs(functions).ParseFS(pageFiles, "pages/layout.html"))

var functions = template.FuncMap{
	"join":     strings.Join,
	"utc":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"ms":       millis,
	"unbroken": unbroken,
	"clock":    func(t time.Time) string { return t.UTC().Format("15:04:05") },
}

// parsePage makes a page of files, of which the first has its "main".
func parsePage(names ...string) *template.Template {
	page := template.Must(layout.Clone())
	for _, name := range names {
		page = template.Must(page.ParseFS(pageFiles, "pages/"+name))
	}
	return page
}

var indexPage = parsePage("index.html")

// A head is what the layout asks of every page.
type head struct {
	Title  string
	Here   string   // the path of the page, as the navigation has it
	Pages  []link   // of the navigation
	Styles []string // files under /assets, beside the common one
	Script []string // files under /assets
}

type link struct{ Path, Name string }

// head makes that of a page.
func (s *site) head(title, here string, scripts ...string) head {
	pages := []link{{"/", "Overview"}}
	if s.Comparer != nil {
		pages = append(pages, link{"/compare", "Compare"})
	}
	if s.Live != nil {
		pages = append(pages, link{"/live", "Live"})
	}
	if s.Comparer != nil && s.Judgments != nil {
		pages = append(pages, link{"/judgments", "Judgments"})
	}
	if s.Reporter != nil {
		pages = append(pages, link{"/experiments", "Experiments"})
	}
	return head{Title: title, Here: here, Pages: pages, Script: scripts}
}

// show writes a page. Nothing is sent before it is whole.
func (s *site) show(w http.ResponseWriter, code int, page *template.Template, data any) {
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		s.Logger.Error("making a page", "page", page.Name(), "error", err)
		http.Error(w, "this page could not be made; the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = b.WriteTo(w) // a reader who went away is none of our business
}

func (s *site) index(w http.ResponseWriter, r *http.Request) {
	s.show(w, http.StatusOK, indexPage, struct {
		head
		Status  Status
		Waiting []string
	}{s.head("Overview", "/"), s.Program.Status(), s.Program.Waiting()})
}

// asset serves a file that the pages are made of.
func asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	data, err := fs.ReadFile(assetFiles, "assets/"+name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}

// policy lets a page be made of files of this listener alone.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// harden keeps what the pages say from being read as anything else, framed, or kept by a cache in between, and their addresses, which hold
// what was searched for, from being told to others.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// here lets requests through that name an address, localhost, or a host without a domain. A browser takes pages of one name for one site,
// and whoever owns a domain can make a name of it point here (DNS rebinding): to that site's scripts these pages would be their own.
// A page of another site may link here, and not load from here behind its reader's back: that would be a search each time.
func here(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isHere(r.Host) {
			http.Error(w, "this page is shown under an address, or a name without a domain: open it as http://127.0.0.1 with this port, or have the proxy before it set the Host header to localhost", http.StatusMisdirectedRequest)
			return
		}
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			http.Error(w, "this page is not for others to load from", http.StatusForbidden)
			return
		}
		next(w, r)
	})
}

func isHere(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	return net.ParseIP(name) != nil || !strings.Contains(strings.TrimSuffix(name, "."), ".") || strings.HasSuffix(name, ".localhost")
}
