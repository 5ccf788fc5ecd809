package remote

import (
	"slices"
)

// Protocol is the dialect of a rerank server.
type Protocol string

const (
	TEI        Protocol = "tei"        // Text Embeddings Inference: POST /rerank
	Cohere     Protocol = "cohere"     // Cohere, Jina, vLLM, Infinity, OpenVINO Model Server and others: POST /v1/rerank, results[].relevance_score
	Voyage     Protocol = "voyage"     // Voyage: POST /v1/rerank, data[].relevance_score
	Mixedbread Protocol = "mixedbread" // Mixedbread: POST /v1/reranking, data[].score
	Elastic    Protocol = "elastic"    // Elasticsearch's inference endpoints, and rerankd's: POST /_inference/rerank/{model}
)

// A dialect is how servers of a protocol are asked. Their answers are told apart by themselves: see results.
type dialect struct {
	path       string
	idInPath   bool // the model is the path's last segment
	needsModel bool
	scheme     string // of Authorization
	scores     Scores // what servers give
	batch      int
	request    func(model, query string, docs []string) any
}

var dialects = map[Protocol]dialect{
	// A TEI refuses more than 32 documents at once unless told otherwise (max_client_batch_size), and texts that are longer than its
	// model takes unless asked to truncate them.
	TEI: {path: "/rerank", scheme: "Bearer", scores: Logits, batch: 32, request: func(_, query string, docs []string) any {
		return struct {
			Query     string   `json:"query"`
			Texts     []string `json:"texts"`
			RawScores bool     `json:"raw_scores"`
			Truncate  bool     `json:"truncate"`
		}{query, docs, true, true}
	}},
	Cohere: {path: "/v1/rerank", scheme: "Bearer", scores: Probabilities, batch: 100, request: func(model, query string, docs []string) any {
		return struct {
			Model     string   `json:"model,omitempty"`
			Query     string   `json:"query"`
			Documents []string `json:"documents"`
			Top       int      `json:"top_n"` // some servers give fewer unless told
		}{model, query, docs, len(docs)}
	}},
	Voyage: {path: "/v1/rerank", needsModel: true, scheme: "Bearer", scores: Probabilities, batch: 100, request: func(model, query string, docs []string) any {
		return struct {
			Model     string   `json:"model"`
			Query     string   `json:"query"`
			Documents []string `json:"documents"`
			Top       int      `json:"top_k"`
		}{model, query, docs, len(docs)}
	}},
	Mixedbread: {path: "/v1/reranking", needsModel: true, scheme: "Bearer", scores: Probabilities, batch: 100, request: func(model, query string, docs []string) any {
		return struct {
			Model string   `json:"model"`
			Query string   `json:"query"`
			Input []string `json:"input"`
			Top   int      `json:"top_k"`
		}{model, query, docs, len(docs)}
	}},
	Elastic: {
		path: "/_inference/rerank", idInPath: true, needsModel: true, scheme: "ApiKey", scores: Probabilities, batch: 32,
		request: func(_, query string, docs []string) any {
			type settings struct {
				Documents bool `json:"return_documents"`
			}
			return struct {
				Query    string   `json:"query"`
				Input    []string `json:"input"`
				Settings settings `json:"task_settings"`
			}{query, docs, settings{false}}
		},
	},
}

func protocolNames() []string {
	var names []string
	for p := range dialects {
		names = append(names, string(p))
	}
	slices.Sort(names)
	return names
}
