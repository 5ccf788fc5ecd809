package search

// Sorted reports.
func (p *Response) Sorted() bool { return false }
