package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

const hits = 50 // of every search that is ranked

// A judgement is what a ranker is asked: how well each document answers the query.
type judgement struct {
	Query string   `json:"query"`
	Docs  []string `json:"docs"`
}

// texts makes n searches of 50 hits each, the same for everyone and every run. The documents are product-like prose of 20 to 120 words out
// of common ones: what they say has no bearing on the time they take, how long they are has.
func texts(n int) []judgement {
	random := rand.New(rand.NewPCG(1, 2))
	prose := func(words int) string {
		list := make([]string, words)
		for i := range list {
			list[i] = vocabulary[random.IntN(len(vocabulary))]
		}
		return strings.Join(list, " ")
	}
	all := make([]judgement, n)
	for i := range all {
		all[i].Query = prose(4)
		for range hits {
			all[i].Docs = append(all[i].Docs, prose(20+random.IntN(101)))
		}
	}
	return all
}

var vocabulary = strings.Fields(`a the of and for with in on to from by this that your our small large light heavy red blue black white
	wooden steel cotton leather waterproof electric manual portable foldable durable quiet bright soft warm cold modern classic simple
	shoes jacket table chair lamp bottle kettle camera tripod keyboard monitor printer cable charger battery speaker tent backpack
	bicycle helmet gloves watch wallet notebook pencil paint brush drill hammer screwdriver ladder hose garden kitchen office
	bathroom bedroom travel outdoor winter summer children adults runners cooks painters carries holds keeps fits folds opens closes
	cleans measures cuts protects includes comes works lasts replaces supports connects adjustable replacement warranty instructions
	size length weight colour surface handle cover edge pocket wheel motor filter sensor screen`)

// searchAnswer is a cluster's answer with the documents as its hits.
func searchAnswer(j judgement) []byte {
	type source struct {
		Text string `json:"text"`
	}
	type hit struct {
		Index  string  `json:"_index"`
		ID     string  `json:"_id"`
		Score  float64 `json:"_score"`
		Source source  `json:"_source"`
	}
	list := make([]hit, len(j.Docs))
	for i, doc := range j.Docs {
		list[i] = hit{"bench", fmt.Sprint(i), float64(len(j.Docs) - i), source{doc}}
	}
	body, err := json.Marshal(map[string]any{
		"took": 1, "timed_out": false,
		"_shards": map[string]int{"total": 1, "successful": 1, "skipped": 0, "failed": 0},
		"hits":    map[string]any{"total": map[string]any{"value": len(list), "relation": "eq"}, "max_score": len(list), "hits": list},
	})
	if err != nil {
		panic(err) // Nothing in it can fail to marshal.
	}
	return body
}
