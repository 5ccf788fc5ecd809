package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy/admin"
)

// clusterOptions are the flags of the commands that talk to a cluster: a configuration file, or the URL of a cluster for the defaults.
type clusterOptions struct {
	file    string
	cluster string
}

func (o *clusterOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.file, "config", "c", "", "configuration file")
	cmd.Flags().StringVar(&o.cluster, "cluster", "", "URL of the cluster; instead of the file's, or with the defaults where there is no file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that is not there
}

// load reads the configuration that the flags describe.
func (o *clusterOptions) load(e *environment) (*config.Config, error) {
	if o.file == "" && o.cluster == "" {
		return nil, usageError{errors.New("there is no cluster to talk to"), "give --cluster http://127.0.0.1:9200, or -c rerankd.yaml"}
	}
	c := new(config.Default())
	if o.file != "" {
		var err error
		if c, err = e.readConfig(o.file); err != nil {
			return nil, err
		}
	}
	if o.cluster != "" {
		c.Cluster.URLs = strings.Split(o.cluster, ",")
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// readConfig reads a configuration file.
func (e *environment) readConfig(file string) (*config.Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, usageError{fmt.Errorf("reading the configuration: %w", err), ""}
	}
	return config.Parse(file, data, e.lookup)
}

// newLogger writes to standard error as c says, and remembers the errors for the status page.
func (e *environment) newLogger(c config.Log) (*slog.Logger, *admin.Recent, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(logLevel(c))
	recent := admin.NewRecent(newLogHandler(e.stderr, c, level))
	return slog.New(recent), recent, level
}

// quiet logs errors only: for commands whose result is on standard output, and who say themselves what went wrong.
func (e *environment) quiet() (*slog.Logger, *admin.Recent) {
	logger, recent, level := e.newLogger(config.Log{Format: "text"})
	level.Set(slog.LevelError)
	return logger, recent
}
