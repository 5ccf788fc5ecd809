package schedule

import "time"

// Cost is what a run takes: Fixed + n*PerToken for n tokens on one worker with all of them busy.
type Cost struct {
	Fixed    time.Duration
	PerToken time.Duration
	Workers  int
}

// Document is the time of one run of so many tokens, query and special tokens included.
func (c Cost) Document(tokens int) time.Duration {
	return c.Fixed + time.Duration(tokens)*c.PerToken
}

// Window is how many documents of so many tokens fit into 80 % of budget on all workers; 0 if the cost is not known.
func (c Cost) Window(budget time.Duration, tokensPerDoc int) int {
	one := c.Document(tokensPerDoc)
	if one <= 0 {
		return 0
	}
	return c.Workers * int(budget*4/5/one)
}
