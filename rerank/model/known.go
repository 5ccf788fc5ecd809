package model

// Info describes a model that is known to work, for `rerankd model list`.
type Info struct {
	Name        string // what to write as `source`
	Parameters  string // total, embeddings included
	Precisions  []string
	License     string // SPDX identifier
	Languages   string
	MaxLength   int
	Description string // one sentence
}

// Known lists the models that rerankd is made for, smallest first. Any other cross-encoder of the BERT, DeBERTa-v2, XLM-RoBERTa or ModernBERT kind loads too.
func Known() []Info {
	return []Info{
		{
			Name: "embedded", Parameters: "22.7 M", Precisions: []string{INT8}, License: "Apache-2.0", Languages: "English", MaxLength: 512,
			Description: "The small model inside the program: six layers of BERT, 384 wide.",
		},
		{
			Name: "mixedbread-ai/mxbai-rerank-xsmall-v1", Parameters: "70.8 M", Precisions: []string{FP32, INT8}, License: "Apache-2.0",
			Languages: "English", MaxLength: 512, Description: "Twelve layers of DeBERTa-v2, 384 wide: for a few processor cores.",
		},
		{
			Name: "mixedbread-ai/mxbai-rerank-base-v1", Parameters: "184 M", Precisions: []string{FP32, INT8}, License: "Apache-2.0",
			Languages: "English", MaxLength: 512, Description: "Twelve layers of DeBERTa-v2, 768 wide: for many cores, or short windows.",
		},
		{
			Name: "mixedbread-ai/mxbai-rerank-large-v1", Parameters: "435 M", Precisions: []string{FP32, INT8}, License: "Apache-2.0",
			Languages: "English", MaxLength: 512, Description: "Twenty-four layers of DeBERTa-v2, 1024 wide: for short windows and long budgets.",
		},
	}
}

func lookUp(source string) *Info {
	for _, k := range Known() {
		if k.Name == source {
			return &k
		}
	}
	return nil
}
