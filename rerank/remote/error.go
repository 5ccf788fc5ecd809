package remote

import (
	"fmt"
	"net/http"
)

// A StatusError is an answer with a status other than 200.
type StatusError struct {
	URL     string
	Code    int
	Message string // the beginning of what the server said
}

func (e *StatusError) Error() string {
	said := fmt.Sprintf("%s answered %d %s", e.URL, e.Code, http.StatusText(e.Code))
	if e.Message != "" {
		said += ": " + e.Message
	}
	return said
}

// Hint says what to do about it, where the status tells; "" otherwise.
func (e *StatusError) Hint() string {
	switch {
	case e.Code/100 == 3:
		return "redirects are not followed: give the URL that is meant"
	case e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden:
		return "look at api_key, and at what it may be used for"
	case e.Code == http.StatusNotFound || e.Code == http.StatusMethodNotAllowed:
		return "look at protocol and model; a URL with a path is asked as it is, one without at the protocol's own"
	case e.Code == http.StatusRequestEntityTooLarge:
		return "a smaller batch may be taken"
	case e.Code == http.StatusBadRequest || e.Code == http.StatusUnprocessableEntity:
		return "look at protocol, model and batch"
	}
	return ""
}

// An AnswerError is an answer that no scores can be taken from.
type AnswerError struct {
	URL     string
	Message string
	Answer  string // its beginning
}

func (e *AnswerError) Error() string {
	said := fmt.Sprintf("the answer of %s cannot be used: %s", e.URL, e.Message)
	if e.Answer != "" {
		said += ": " + e.Answer
	}
	return said
}

// Hint says where to look.
func (e *AnswerError) Hint() string { return "look at protocol and scores: does the server speak it?" }
