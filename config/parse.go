package config

import (
	"errors"
	"os"
)

// Load reads and parses the file at path with the process's environment.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, os.LookupEnv)
}

// Parse reads data, the content of the file called name, over [Default]. env looks up a variable for ${NAME}.
// Its errors are an [Error], apart from nothing.
func Parse(name string, data []byte, env func(string) (string, bool)) (*Config, error) {
	return nil, errors.New("not yet")
}
