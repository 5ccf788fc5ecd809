package proxy

func templateWords(template []byte) (string, bool) { return "", false }
