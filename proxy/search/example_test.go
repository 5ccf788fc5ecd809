package search_test

import (
	"fmt"

	"github.com/rerankd/rerankd/proxy/search"
)

// A search, from the client's bytes to the client's bytes.
func Example() {
	request, _ := search.Parse("pretty=false", []byte(`{"size":2,"_source":["price"],"query":{"match":{"title":"red shoes"}}}`))
	if reason, _ := request.Pass(); reason != "" {
		return // send request.Original() instead
	}
	fmt.Printf("rank by %q\n", request.Words())

	template := search.FieldsTemplate([]string{"title"})
	widened, _ := request.Widen(search.Need{Window: 3, Fields: template.Fields(), Widen: true})
	fmt.Printf("send %s\n", widened.Body)

	response, _ := search.ParseResponse([]byte(`{"took":4,"hits":{"max_score":1.5,"hits":[` +
		`{"_id":"1","_score":1.5,"_source":{"price":9.90},"fields":{"title":["red shoelaces"]}},` +
		`{"_id":"2","_score":1.2,"_source":{"price":59.00},"fields":{"title":["red shoes"]}},` +
		`{"_id":"3","_score":0.4,"_source":{"price":12.00},"fields":{"title":["shoe polish"]}}]}}`))
	for i := range response.Hits() {
		fmt.Printf("read %q\n", response.Text(i, template))
	}

	body, _ := response.Splice(search.Page{
		From: widened.From, Size: widened.Size, Strip: widened,
		Order: []int{1, 0, 2}, Scores: []float64{0.93, 0.41, 0.02}, AddTook: 11,
	})
	fmt.Printf("answer %s\n", body)
	// Output:
	// rank by "red shoes"
	// send {"fields":["title"],"size":3,"_source":["price"],"query":{"match":{"title":"red shoes"}}}
	// read "red shoelaces"
	// read "red shoes"
	// read "shoe polish"
	// answer {"took":15,"hits":{"max_score":0.93,"hits":[{"_id":"2","_score":0.93,"_source":{"price":59.00}},{"_id":"1","_score":0.41,"_source":{"price":9.90}}]}}
}
