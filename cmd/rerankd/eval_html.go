package main

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
)

//go:embed eval.html
var evalPage string

// writeHTML writes the report as one page that needs nothing else: no script, no font, no request.
func writeHTML(name string, r *evalReport) error {
	t, err := template.New("eval").Funcs(template.FuncMap{
		"decimals": decimals, "signed": signed, "interval": interval, "p": pValue, "label": label, "arm": func(n int) *armReport { return &r.Arms[n] },
		"lift": func(x lossReport) float64 { return x.Against - x.Baseline }, "title": func(i int) string { return r.measures[i].Title() },
	}).Parse(evalPage)
	if err != nil {
		return err
	}
	return writeFile(name, func(w io.Writer) error { return t.Execute(w, newEvalView(r)) })
}

// An evalView is what the page shows.
type evalView struct {
	*evalReport
	Title    string
	Notes    []string
	Judged   bool
	First    string // the measure that queries are told by
	Pairs    []pairView
	Quality  *curve
	Time     *curve
	Searched bool // not all arms are files
}

type pairView struct {
	pairReport
	Forest *forest
	Bars   *bars
	Each   []lossReport // every query, the worst loss first
}

func newEvalView(r *evalReport) evalView {
	v := evalView{evalReport: r, Title: r.title(), Notes: r.notes(), Judged: r.Format != ""}
	if v.Judged {
		v.First = r.measures[0].Title()
	}
	for n, p := range r.Against {
		view := pairView{pairReport: p}
		if v.Judged {
			view.Forest = newForest(r, p)
			for i, q := range r.Queries {
				values := q.Values[r.measures[0].String()]
				view.Each = append(view.Each, lossReport{r.Queries[i].Query, values[0], values[n+1]})
			}
			slices.SortStableFunc(view.Each, func(a, b lossReport) int { return cmp.Compare(a.Against-a.Baseline, b.Against-b.Baseline) })
		}
		view.Bars = newBars(r, p, n)
		v.Pairs = append(v.Pairs, view)
	}
	if len(r.Depths) > 0 {
		v.Quality, v.Time = depthCurves(r)
	}
	for _, a := range r.Arms {
		v.Searched = v.Searched || !a.file
	}
	return v
}

// An axis maps values to places between two ends, and has ticks at round values.
type axis struct {
	low, high float64
	from, to  float64
}

type tick struct {
	At   float64
	Text string
}

func (a axis) at(x float64) float64 {
	if a.high == a.low {
		return (a.from + a.to) / 2
	}
	return math.Round((a.from+(x-a.low)/(a.high-a.low)*(a.to-a.from))*100) / 100
}

// newAxis is one that holds all values, and ends at round ones.
func newAxis(from, to float64, values ...float64) axis {
	low, high := slices.Min(values), slices.Max(values)
	if high-low < 1e-6 { // finer than what is written at a tick
		low, high = low-0.01, high+0.01
	}
	step := roundStep(high - low)
	return axis{math.Floor(low/step+1e-9) * step, math.Ceil(high/step-1e-9) * step, from, to}
}

// roundStep divides a range into four to ten parts of 1, 2 or 5 times a power of ten.
func roundStep(span float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(span/4)))
	for _, n := range []float64{1, 2, 5} {
		if span/(n*power) <= 8 {
			return n * power
		}
	}
	return 10 * power
}

func (a axis) ticks(format string) (ticks []tick) {
	step := roundStep(a.high - a.low)
	for i := range int(math.Round((a.high-a.low)/step)) + 1 {
		x := a.low + float64(i)*step
		if math.Abs(x) < step/1e6 {
			x = 0 // and not -0
		}
		ticks = append(ticks, tick{a.at(x), fmt.Sprintf(format, x)})
	}
	return ticks
}

// A forest is the differences of all measures with their intervals, below each other.
type forest struct {
	Height, Bottom float64
	Zero           float64
	Ticks          []tick
	Rows           []forestRow
}

type forestRow struct {
	Y, Low, Mean, High float64
	Text, Value, Class string
}

func newForest(r *evalReport, p pairReport) *forest {
	ends := []float64{0}
	for _, d := range p.Differences {
		ends = append(ends, d.Low, d.High)
	}
	x := newAxis(130, 690, ends...)
	f := &forest{Zero: x.at(0), Ticks: x.ticks("%+.4g")}
	for i, d := range p.Differences {
		class := "same"
		switch {
		case d.Low > 0:
			class = "gain"
		case d.High < 0:
			class = "loss"
		}
		f.Rows = append(f.Rows, forestRow{float64(20 + 28*i), x.at(d.Low), x.at(d.Mean), x.at(d.High), r.measures[i].Title(), signed(d.Mean), class})
	}
	f.Bottom = float64(28*len(f.Rows)) + 6
	f.Height = f.Bottom + 24
	return f
}

// maxBars is how many queries a plot has bars for; of more only some are drawn, evenly.
const maxBars = 800

// bars are the queries' differences, the greatest gain first; or without judgments how far the two orders are apart.
type bars struct {
	Zero  float64
	Ticks []tick
	Bars  []barOf
	Drawn int
	Of    int
}

type barOf struct {
	X, Y, Width, Height float64
	Text, Class         string
}

func newBars(r *evalReport, p pairReport, n int) *bars {
	type value struct {
		x    float64
		text string
	}
	var values []value
	for i, q := range r.Queries {
		if r.Format == "" {
			values = append(values, value{1 - q.RBO[n], fmt.Sprintf("%s: RBO %.3f", label(q.ID, q.Text), q.RBO[n])})
			continue
		}
		v := q.Values[r.measures[0].String()]
		values = append(values, value{p.differences[i], fmt.Sprintf("%s: %+.4f (%.4f → %.4f)", label(q.ID, q.Text), p.differences[i], v[0], v[n+1])})
	}
	slices.SortStableFunc(values, func(a, b value) int { return cmp.Compare(b.x, a.x) })
	if len(values) == 0 {
		return nil
	}
	y := newAxis(230, 12, 0, values[0].x, values[len(values)-1].x)
	b := &bars{Zero: y.at(0), Ticks: y.ticks("%.4g"), Drawn: min(len(values), maxBars), Of: len(values)}
	width := 690 / float64(b.Drawn)
	for i := range b.Drawn {
		v := values[i*len(values)/b.Drawn]
		at := y.at(v.x)
		class := "gain"
		if v.x < 0 {
			class = "loss"
		}
		b.Bars = append(b.Bars, barOf{
			X: 60 + float64(i)*width, Y: min(at, b.Zero), Width: max(width*0.86, width-2), Height: max(math.Abs(at-b.Zero), 0.5), Text: v.text, Class: class,
		})
	}
	return b
}

// A curve is values against windows.
type curve struct {
	X, Y     []tick
	Lines    []curveLine
	Baseline float64 // 0: none
	Label    string
	Unit     string
}

type curveLine struct {
	Name, Class, Path, Band string
	Points                  []curvePoint
}

type curvePoint struct {
	X, Y float64
	Text string
}

// depthCurves are the first measure and the time against the window.
func depthCurves(r *evalReport) (quality, time *curve) {
	windows := []float64{0}
	for _, d := range r.Depths {
		windows = append(windows, float64(d))
	}
	x := newAxis(60, 690, windows...)
	line := func(name, class string, y axis, value func(n int) float64, format string) curveLine {
		l := curveLine{Name: name, Class: class}
		var path []string
		for n := range r.Arms[1:] {
			v := value(n + 1)
			at := curvePoint{x.at(float64(r.Arms[n+1].window)), y.at(v), fmt.Sprintf("window %s: %s "+format, r.Arms[n+1].Name, name, v)}
			l.Points = append(l.Points, at)
			path = append(path, fmt.Sprintf("%.2f %.2f", at.X, at.Y))
		}
		l.Path = "M" + strings.Join(path, "L")
		return l
	}
	if r.Format != "" {
		m := r.measures[0]
		base := r.Arms[0].Means[m.String()]
		values := []float64{base}
		for _, p := range r.Against {
			values = append(values, base+p.Differences[0].Low, base+p.Differences[0].High)
		}
		y := newAxis(230, 12, values...)
		l := line(m.Title(), "gain", y, func(n int) float64 { return r.Arms[n].Means[m.String()] }, "%.4f")
		var upper, lower []string
		for i, p := range r.Against {
			upper = append(upper, fmt.Sprintf("%.2f %.2f", l.Points[i].X, y.at(base+p.Differences[0].High)))
			lower = append(lower, fmt.Sprintf("%.2f %.2f", l.Points[i].X, y.at(base+p.Differences[0].Low)))
		}
		slices.Reverse(lower)
		l.Band = "M" + strings.Join(append(upper, lower...), "L") + "Z"
		quality = &curve{X: x.ticks("%.4g"), Y: y.ticks("%.4g"), Lines: []curveLine{l}, Baseline: y.at(base), Label: r.Arms[0].Name, Unit: m.Title()}
	}
	for _, a := range r.Arms[1:] {
		if a.Total == nil {
			return quality, nil
		}
	}
	times := []float64{0}
	for _, a := range r.Arms[1:] {
		times = append(times, a.Total.P95)
	}
	y := newAxis(230, 12, times...)
	time = &curve{X: x.ticks("%.4g"), Y: y.ticks("%.4g"), Unit: "ms", Lines: []curveLine{
		line("p50", "gain", y, func(n int) float64 { return r.Arms[n].Total.P50 }, "%.1f ms"),
		line("p95", "loss", y, func(n int) float64 { return r.Arms[n].Total.P95 }, "%.1f ms"),
	}}
	if r.Arms[0].Total != nil {
		time.Baseline, time.Label = y.at(r.Arms[0].Total.P50), r.Arms[0].Name+" p50"
	}
	return quality, time
}
