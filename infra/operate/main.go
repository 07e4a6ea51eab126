// Command operate is what an operator does to a deployment on AWS beside
// deploying it, with the operator's own AWS credentials:
//
//	operate -table NAME workspaces   make sure of the workspaces in WORKSPACES ("name:KEY,name2:KEY2")
//	operate -table NAME key NAME     make a new API key of a workspace, and the workspace if need be; printed once
//	operate -table NAME -url URL admin NAME      make a one-time link by which whoever has it becomes an admin of a workspace
//	operate -table NAME -url URL password EMAIL  make a one-time link by which somebody chooses a new password
//	operate -table NAME revoke       revoke the API key read from standard input
//	operate -table NAME reprocess    derive MRR, movements and renewal dates of all accounts anew
//	operate -table NAME reindex      write the pointers by value that records from an earlier version lack
//	operate -table NAME -queue URL replay   take up the changes in the dead-letter queue again
//	operate -table NAME -key ARN apps               the systems that people grant access to, and which have an OAuth app
//	operate -table NAME -key ARN app SYSTEM         store the app on standard input, a JSON object, for all workspaces
//	operate -table NAME -key ARN delete-app SYSTEM  delete the app
//
// The table, the queue, the key and the URL, which is that of the console, are outputs
// of the stack.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/config"
	"tenure/core/identity"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/secrets"
	"tenure/core/secrets/kms"
	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/usage"
	"tenure/localstack/sourcing"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	table := flag.String("table", "", "name of the table")
	queue := flag.String("queue", "", "URL of the dead-letter queue")
	url := flag.String("url", "", "URL of the console")
	key := flag.String("key", "", "ARN of the key that seals secrets")
	flag.Parse()
	if err := run(ctx, *table, *queue, *url, *key, flag.Args(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "operate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, table, queue, url, key string, args []string, in io.Reader, out io.Writer) error {
	if table == "" || len(args) == 0 {
		return errors.New("usage: operate -table NAME workspaces | key WORKSPACE | admin WORKSPACE | password EMAIL | revoke | reprocess | reindex | replay | apps | app SYSTEM | delete-app SYSTEM")
	}
	sdk, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	on := dynamo.Open(dynamo.NewClient(sdk), table, dynamo.Options{})
	o := &operator{
		sdk: sdk, out: out, keys: access.New(on, nil), people: identity.New(on, identity.Options{}), url: url,
		engine: resource.New(resource.Config{Table: on, Root: catalog.Root, Shards: dynamo.Shards}),
	}
	o.rollup = rollup.New(o.engine, usage.New(usage.Config{Table: on, Engine: o.engine}))
	switch command := args[0]; {
	case sourcing.Everywhere(args) && key == "":
		return errors.New(command + " needs -key ARN")
	case sourcing.Everywhere(args):
		return o.apps(ctx, on, key, args, in)
	case command == "workspaces":
		return o.workspaces(ctx)
	case command == "key" && len(args) == 2:
		return o.key(ctx, args[1])
	case (command == "admin" || command == "password") && len(args) == 2 && url == "":
		return errors.New(command + " needs -url URL")
	case command == "admin" && len(args) == 2:
		return o.admin(ctx, args[1])
	case command == "password" && len(args) == 2:
		return o.password(ctx, args[1])
	case command == "revoke":
		return o.revoke(ctx, in)
	case command == "reprocess":
		return o.reprocess(ctx)
	case command == "reindex":
		return o.reindex(ctx)
	case command == "replay" && queue != "":
		return o.replay(ctx, queue)
	case command == "replay":
		return errors.New("replay needs -queue URL")
	}
	return fmt.Errorf("%q is not a command", strings.Join(args, " "))
}

// operator carries out commands on one deployment.
type operator struct {
	sdk    aws.Config
	out    io.Writer
	keys   *access.Store
	people *identity.Store
	url    string // of the console
	engine *resource.Engine
	rollup *rollup.Rollup
}

// apps carries out a command about the OAuth apps of the deployment.
func (o *operator) apps(ctx context.Context, on table.Table, key string, args []string, in io.Reader) error {
	in, err := sourcing.Input(in, args, os.Stderr)
	if err != nil {
		return err
	}
	store := sourcing.NewStore(on, o.engine, o.keys, secrets.New(kms.New(awskms.NewFromConfig(o.sdk), key)), nil)
	return (&sourcing.Commands{Store: store}).Do(ctx, "", args, in, func(e sourcing.Event) error {
		_, err := io.WriteString(o.out, e.Text)
		return err
	})
}

func (o *operator) workspaces(ctx context.Context) error {
	c, err := config.FromEnv()
	if err != nil {
		return err
	}
	if len(c.Workspaces) == 0 {
		return errors.New("WORKSPACES is not set")
	}
	for _, w := range c.Workspaces {
		if err := o.keys.EnsureWorkspace(ctx, w.Name, w.Key); err != nil {
			return fmt.Errorf("WORKSPACES: %w", err)
		}
		fmt.Fprintf(o.out, "Workspace   %s, with its key from WORKSPACES\n", w.Name)
	}
	return nil
}

func (o *operator) key(ctx context.Context, workspace string) error {
	key := access.NewKey()
	if err := o.keys.EnsureWorkspace(ctx, workspace, key); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "Workspace   %s\nAPI key     %s\n", workspace, key)
	return nil
}

func (o *operator) admin(ctx context.Context, workspace string) error {
	names, err := o.keys.Workspaces(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(names, workspace) {
		return fmt.Errorf("there is no workspace %q", workspace)
	}
	token, err := o.people.AdminLink(ctx, workspace)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "To become an admin of %s, once within a day:\n%s\n", workspace, o.link(token))
	return nil
}

func (o *operator) password(ctx context.Context, email string) error {
	token, err := o.people.PasswordLink(ctx, email)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "For %s to choose a new password, once within a day:\n%s\n", email, o.link(token))
	return nil
}

// link returns the address of a one-time link.
func (o *operator) link(token string) string {
	return strings.TrimSuffix(o.url, "/") + "/welcome/" + token
}

func (o *operator) revoke(ctx context.Context, in io.Reader) error {
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	workspace, err := o.keys.Revoke(ctx, strings.TrimSpace(line))
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "Revoked a key of workspace %s\n", workspace)
	return nil
}

func (o *operator) reprocess(ctx context.Context) error {
	workspaces, err := o.keys.Workspaces(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, w := range workspaces {
		n, err := o.rollup.Workspace(ctx, w)
		fmt.Fprintf(o.out, "Workspace   %s: %d accounts derived\n", w, n)
		failed = errors.Join(failed, err)
	}
	return failed
}

func (o *operator) reindex(ctx context.Context) error {
	workspaces, err := o.keys.Workspaces(ctx)
	if err != nil {
		return err
	}
	for _, w := range workspaces {
		for _, f := range catalog.All() {
			written, _, err := o.engine.Reindex(ctx, w, f, "")
			if err != nil {
				return fmt.Errorf("workspace %s, %s: %w; what is done stays so: run it again", w, f.Schema.Name, err)
			}
			if len(f.Lookups) > 0 {
				fmt.Fprintf(o.out, "Workspace   %s: pointers to %s that were missing: %d\n", w, f.Schema.Name, written)
			}
		}
	}
	return nil
}
