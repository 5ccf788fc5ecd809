package search

// Template says how the text of a hit is made of its fields.
type Template struct{}

// ParseTemplate reads a template like "{title}. {description}": a field's full name in braces, everything else literal; {{ and }} stand
// for the braces themselves.
func ParseTemplate(s string) (Template, error) { return Template{}, nil }

// FieldsTemplate joins the texts of the fields that have one, each on a line.
func FieldsTemplate(fields []string) Template { return Template{} }

// Fields returns the names of the fields that the template reads, each once, in order of appearance.
func (t Template) Fields() []string { return nil }
