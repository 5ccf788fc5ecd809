package model

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

var (
	//go:embed embedded/model.onnx.zst
	embeddedGraph []byte
	//go:embed embedded/tokenizer.json
	embeddedTokenizer []byte
	//go:embed embedded/config.json
	embeddedConfig []byte
	//go:embed embedded/CARD.md
	embeddedCard string
)

// embeddedDigest is the SHA-256 of the graph before compression. NOTICE gives the same.
const embeddedDigest = "babed22c85b6ffe51f6dd596693696e1fe87fa8e18b46cce7a5899ae47e1fc09"

// embeddedSize is the graph's size in bytes: the decompressor is allowed no more.
const embeddedSize = 21764441

// Embedded returns the model inside the program. Each call decompresses it anew (about 22 MB), so that the copy goes when its user does.
func Embedded() (*Files, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(embeddedSize))
	if err != nil {
		return nil, fmt.Errorf("decompressing the embedded model: %w", err)
	}
	defer d.Close()
	graph, err := d.DecodeAll(embeddedGraph, make([]byte, 0, embeddedSize))
	if err != nil {
		return nil, fmt.Errorf("decompressing the embedded model: %w", err)
	}
	sum := sha256.Sum256(graph)
	if digest := hex.EncodeToString(sum[:]); digest != embeddedDigest {
		return nil, fmt.Errorf("the embedded model is damaged: its digest is %s, want %s", digest, embeddedDigest)
	}
	return &Files{
		Name:      "embedded",
		Graph:     graph,
		Tokenizer: embeddedTokenizer,
		Config:    embeddedConfig,
		Precision: INT8,
		Digest:    embeddedDigest,
		Source:    "embedded",
		License:   "Apache-2.0",
		Languages: "English",
		MaxLength: 512,
	}, nil
}

// Card is the embedded model's card in Markdown: what it is, where it comes from, what was measured.
func Card() string { return embeddedCard }
