package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/proxy/experiment/sink"
)

func newExperimentForgetCmd(e *environment) *cobra.Command {
	var o forgetOptions
	cmd := &cobra.Command{
		Use:   "forget --client ID [FILE...]",
		Short: "Delete what experiments have kept of one client",
		Long: `Deletes the pages that a client was shown, what it did with them, and all else that happened
under the query ids of its searches, from the files, and with --cluster from the cluster's
UBI indices.

ID is the client id that the application sends (ext.ubi.client_id), or whatever else
searches are assigned to a variant by, a session say. Where ids are kept hashed, give the
file with the salt they were hashed with; without it they cannot be found.

Each file is written anew beside itself and then replaced at once. A rerankd that writes to
it waits meanwhile, and no record of others is lost. Give all files of all copies in one
call: an event may stand in another file than the search that it belongs to.`,
		Example: `  rerankd experiment forget --client 7ae52966 /var/lib/rerankd/events/*.jsonl
  rerankd experiment forget --client 7ae52966 --salt-file salt --cluster https://127.0.0.1:9200 --user admin:secret`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.forget(cmd.Context(), e, args) },
	}
	cmd.Flags().StringVar(&o.client, "client", "", "the client's id")
	cmd.Flags().StringVar(&o.salt, "salt-file", "", "file with the salt of the configuration, where ids are hashed")
	o.recordsOptions.flags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

type forgetOptions struct {
	recordsOptions
	client, salt string
	json         bool
}

// forgotten is what is printed as JSON.
type forgotten struct {
	Files   []sink.Forgotten `json:"files"`
	Cluster *int             `json:"cluster,omitempty"` // documents that are gone
}

func (o forgetOptions) forget(ctx context.Context, e *environment, files []string) error {
	switch {
	case o.client == "":
		return usageError{errors.New("no client is named"), "--client takes the id that the application sends as ext.ubi.client_id"}
	case len(files) == 0 && !o.given():
		return usageError{errors.New("there is nothing to forget it in"), "name the files of records, or a cluster by --cluster"}
	}
	salt, err := o.readSalt()
	if err != nil {
		return err
	}
	var done forgotten
	if len(files) > 0 {
		if done.Files, err = sink.Forget(o.client, salt, files...); err != nil {
			return err
		}
	}
	if o.given() {
		n, err := o.forgetInCluster(ctx, e, salt)
		if err != nil {
			return err
		}
		done.Cluster = &n
	}
	if o.json {
		return printJSON(e.stdout, done)
	}
	return done.print(e)
}

func (o forgetOptions) readSalt() ([]byte, error) {
	if o.salt == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.salt)
	if err != nil {
		return nil, fmt.Errorf("reading the salt: %w", err)
	}
	return []byte(strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")), nil // as the configuration reads it
}

func (o forgetOptions) forgetInCluster(ctx context.Context, e *environment, salt []byte) (int, error) {
	in, _, close, err := o.open(e)
	if err != nil {
		return 0, err
	}
	defer close()
	n, err := sink.ForgetInCluster(ctx, in.URL, in.Transport, o.queries, o.events, o.client, salt)
	return n, recordsError(err)
}

func (f forgotten) print(e *environment) error {
	removed, unread := 0, 0
	if len(f.Files) > 0 {
		t := newTable("FILE", "REMOVED", "KEPT").numbers(1, 2)
		for _, file := range f.Files {
			t.row(file.File, strconv.Itoa(file.Removed), strconv.Itoa(file.Kept))
			removed += file.Removed
			unread += file.Unread
		}
		if err := t.print(e.stdout); err != nil {
			return err
		}
	}
	if unread > 0 {
		fmt.Fprintf(e.stderr, "%s could not be read as records and were left as they are\n", count(unread, "line"))
	}
	if f.Cluster != nil {
		fmt.Fprintf(e.stdout, "%s deleted from the cluster\n", count(*f.Cluster, "document"))
		removed += *f.Cluster
	}
	if removed == 0 {
		fmt.Fprintln(e.stderr, "nothing was found of that client; where ids are hashed, --salt-file is needed to find any")
	}
	return nil
}
