package filterpath

// A printer writes JSON as the engines do: with no white space, or as Jackson's DefaultPrettyPrinter has it when both objects and arrays
// are indented by two spaces.
type printer struct {
	out    []byte
	pretty bool
	depth  int
	limit  int  // bytes; from there on nothing is indented: thousands of levels would make gigabytes of kilobytes
	over   bool // the limit was met
}

func (p *printer) open(bracket byte) {
	p.out = append(p.out, bracket)
	p.depth++
}

func (p *printer) close(bracket byte, empty bool) {
	p.depth--
	if !empty {
		p.line()
	} else if p.pretty {
		p.out = append(p.out, ' ')
	}
	p.out = append(p.out, bracket)
}

// comma begins a member or an element, after another or as the first.
func (p *printer) comma(after bool) {
	if after {
		p.out = append(p.out, ',')
	}
	p.line()
}

func (p *printer) line() {
	if !p.pretty {
		return
	}
	if len(p.out) > p.limit {
		p.over = true
		return
	}
	p.out = append(p.out, '\n')
	for range p.depth {
		p.out = append(p.out, ' ', ' ')
	}
}

// name writes the name of a member, quoted as it is.
func (p *printer) name(raw []byte) {
	p.out = append(p.out, raw...)
	p.colon()
}

func (p *printer) colon() {
	if p.pretty {
		p.out = append(p.out, " : "...)
	} else {
		p.out = append(p.out, ':')
	}
}

// raw writes a valid value, with white space of ours for its own.
func (p *printer) raw(value []byte) {
	empty := false // nothing was written since a bracket opened
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		case '}', ']':
			p.close(c, empty)
			empty = false
			continue
		}
		if empty {
			p.comma(false)
			empty = false
		}
		switch c {
		case '{', '[':
			p.open(c)
			empty = true
		case ',':
			p.comma(true)
		case ':':
			p.colon()
		case '"':
			end := i + stringLength(value[i:])
			p.out = append(p.out, value[i:end]...)
			i = end - 1
		default:
			p.out = append(p.out, c)
		}
	}
}

// stringLength returns the length of the string that a value begins with, quotes included.
func stringLength(value []byte) int {
	for i := 1; ; i++ {
		switch value[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}
