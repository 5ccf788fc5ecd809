package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
		Example: `  rerankd experiment forget --client 7ae52966 /var/lib/rerankd/experiments/*.jsonl
  rerankd experiment forget --client 7ae52966 --salt-file salt --cluster https://reader:secret@127.0.0.1:9200`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.forget(cmd.Context(), e, args) },
	}
	cmd.Flags().StringVar(&o.client, "client", "", "the client's id")
	cmd.Flags().StringVar(&o.salt, "salt-file", "", "file with the salt of the configuration, where ids are hashed")
	cmd.Flags().StringVar(&o.cluster, "cluster", "", "URL of a cluster, with user and password where it asks for them")
	cmd.Flags().StringVar(&o.queries, "queries-index", "ubi_queries", "the cluster's index of queries")
	cmd.Flags().StringVar(&o.events, "events-index", "ubi_events", "the cluster's index of events")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

type forgetOptions struct {
	client, salt             string
	cluster, queries, events string
	json                     bool
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
	case len(files) == 0 && o.cluster == "":
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
	if o.cluster != "" {
		n, err := o.forgetInCluster(ctx, salt)
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

func (o forgetOptions) forgetInCluster(ctx context.Context, salt []byte) (int, error) {
	at, err := url.Parse(o.cluster)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return 0, usageError{errors.New("--cluster is no URL"), "write it as https://127.0.0.1:9200"}
	}
	transport := http.RoundTripper(http.DefaultTransport)
	if at.User != nil {
		transport = asUser{transport, at.User}
	}
	return sink.ForgetInCluster(ctx, at, transport, o.queries, o.events, o.client, salt)
}

// asUser sends requests with a user's name and password.
type asUser struct {
	http.RoundTripper
	user *url.Userinfo
}

func (t asUser) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	password, _ := t.user.Password()
	r.SetBasicAuth(t.user.Username(), password)
	return t.RoundTripper.RoundTrip(r)
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
