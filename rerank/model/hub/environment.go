package hub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// FromEnvironment is a client as the environment says, by the variables that users of Hugging Face's own tools know: HF_ENDPOINT, HF_TOKEN (or
// the token that `hf auth login` has left in HF_TOKEN_PATH, or HF_HOME), HF_HUB_OFFLINE. HTTPS_PROXY and NO_PROXY are heeded too.
func FromEnvironment(lookup func(string) (string, bool)) (*Client, error) {
	get := func(name string) string { v, _ := lookup(name); return strings.TrimSpace(v) }
	if offline := strings.ToLower(get("HF_HUB_OFFLINE")); offline != "" && offline != "0" && offline != "false" && offline != "no" {
		return nil, &Error{Message: "HF_HUB_OFFLINE is set: no model can be pulled", Advice: "unset it; or copy the model's directory from another machine and give it as source"}
	}
	c := &Client{Endpoint: get("HF_ENDPOINT"), Token: get("HF_TOKEN")}
	if c.Token == "" {
		token, err := os.ReadFile(tokenPath(get))
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return nil, err
		}
		c.Token = strings.TrimSpace(string(token))
	}
	return c, nil
}

func tokenPath(get func(string) string) string {
	if path := get("HF_TOKEN_PATH"); path != "" {
		return path
	}
	home := get("HF_HOME")
	if home == "" {
		cache := get("XDG_CACHE_HOME")
		if cache == "" {
			cache = filepath.Join(get("HOME"), ".cache")
		}
		home = filepath.Join(cache, "huggingface")
	}
	return filepath.Join(home, "token")
}
