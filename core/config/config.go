// Package config reads the settings of a process from its environment. Every
// setting has a default; what is set must make sense, or the process does not
// start and says why.
package config

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Workspace is one entry of WORKSPACES.
type Workspace struct{ Name, Key string }

// Config holds the settings of a process.
type Config struct {
	// Host (HOST) and Port (PORT) are where the API listens. Port 0 takes a
	// free one.
	Host string
	Port int
	// DataDir (DATA_DIR) is the directory of the embedded store.
	DataDir string
	// Workspaces (WORKSPACES, "name:KEY,name2:KEY2") are made sure of at start.
	Workspaces []Workspace
	// LockWait (POST_LOCK_WAIT) is how long an upload waits for the one before
	// it under the same key; see api.Config.
	LockWait time.Duration
	// Timeout (REQUEST_TIMEOUT) bounds the work on one request. The lease of the
	// upload lock ends with it or, where the platform ends the process at an
	// instant of its own, then.
	Timeout time.Duration
	// EventsKept (EVENTS_KEPT) is how long usage events are kept as they came, at least
	// MinEventsKept. What is counted of them stays.
	EventsKept time.Duration
	// ConsoleLink (CONSOLE_LINK) has one more one-time link made at start: for an
	// admin of the workspace that it names or, an e-mail address, for that person to
	// choose a new password.
	ConsoleLink string
	// ConsoleURL (CONSOLE_URL) is where browsers find the console; see
	// console.ParseURL. Empty where it is taken from each request.
	ConsoleURL string
	// DNSServers (DNS_SERVER, one or several with commas between) are asked for the
	// records of sending domains, in place of those of the system.
	DNSServers []string
	// MailHost (MAIL_HOST) is the host name of the mail server that sends for a
	// deployment on one machine; without it, records are those of Amazon SES.
	MailHost string
	// Region (AWS_REGION) is where Amazon SES sends from.
	Region string
	// Key (KEY_ARN) is the key of KMS that seals secrets; unused on one machine.
	Key string
	// Table (TABLE_NAME) is the DynamoDB table; unused on one machine.
	Table string
	// UploadsBucket (UPLOADS_BUCKET) is the bucket of uploaded files, UploadsQueue
	// (UPLOADS_QUEUE) the URL of the queue of the work on them; unused on one machine.
	UploadsBucket, UploadsQueue string
	// SourcesQueue (SOURCES_QUEUE) is the URL of the queue of the runs of sources;
	// unused on one machine.
	SourcesQueue string
	// Deployment (DEPLOYMENT) names the deployment in what functions measure.
	Deployment string
	// Buffer (RESPONSE_MODE "buffer", else "stream") has functions return whole
	// answers in place of streams: for gateways that cannot stream.
	Buffer bool
}

// MinEventsKept leaves time to count events that could not be counted at once.
const MinEventsKept = 7 * 24 * time.Hour

// FromEnv reads the settings of the process.
func FromEnv() (Config, error) { return From(os.Getenv) }

// From reads settings through getenv, where an unset one is empty. The error
// names the setting to blame.
func From(getenv func(string) string) (Config, error) {
	text := func(name, def string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return def
	}
	c := Config{
		Host:    text("HOST", "127.0.0.1"),
		DataDir: text("DATA_DIR", ".data"),

		ConsoleLink: getenv("CONSOLE_LINK"),
		ConsoleURL:  getenv("CONSOLE_URL"),
		MailHost:    getenv("MAIL_HOST"),
		Region:      text("AWS_REGION", "us-east-1"),
		Key:         getenv("KEY_ARN"),

		Table:         getenv("TABLE_NAME"),
		UploadsBucket: getenv("UPLOADS_BUCKET"),
		UploadsQueue:  getenv("UPLOADS_QUEUE"),
		SourcesQueue:  getenv("SOURCES_QUEUE"),
		Deployment:    text("DEPLOYMENT", "tenure"),
	}
	switch mode := text("RESPONSE_MODE", "stream"); mode {
	case "stream", "buffer":
		c.Buffer = mode == "buffer"
	default:
		return c, fmt.Errorf("RESPONSE_MODE %q is neither stream nor buffer", mode)
	}
	for server := range strings.SplitSeq(getenv("DNS_SERVER"), ",") {
		if server = strings.TrimSpace(server); server != "" {
			c.DNSServers = append(c.DNSServers, server)
		}
	}
	port, err := strconv.ParseUint(text("PORT", "8080"), 10, 16)
	if err != nil {
		return c, fmt.Errorf("PORT %q is not a port number", getenv("PORT"))
	}
	c.Port = int(port)
	duration := func(name, def string) (d time.Duration) {
		if err == nil {
			if d, err = time.ParseDuration(text(name, def)); err != nil || d < 0 {
				err = fmt.Errorf("%s %q is not a duration such as 500ms or 10s", name, getenv(name))
			}
		}
		return d
	}
	c.LockWait = duration("POST_LOCK_WAIT", "0s")
	c.Timeout = duration("REQUEST_TIMEOUT", "30s")
	c.EventsKept = duration("EVENTS_KEPT", "2160h")
	if err != nil {
		return c, err
	}
	if c.Timeout == 0 {
		return c, fmt.Errorf("REQUEST_TIMEOUT must be more than 0")
	}
	if c.EventsKept < MinEventsKept {
		return c, fmt.Errorf("EVENTS_KEPT %q is less than %.0fh", getenv("EVENTS_KEPT"), MinEventsKept.Hours())
	}
	c.Workspaces, err = parseWorkspaces(getenv("WORKSPACES"))
	return c, err
}

// parseWorkspaces reads "name:KEY,name2:KEY2". Its errors hold no key.
func parseWorkspaces(text string) ([]Workspace, error) {
	var all []Workspace
	names := map[string]bool{}
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		name, key, found := strings.Cut(entry, ":")
		if !found || name == "" || key == "" {
			return nil, fmt.Errorf("WORKSPACES: entry %d is not of the form name:KEY", len(all)+1)
		}
		if names[name] {
			return nil, fmt.Errorf("WORKSPACES: %q is named twice", name)
		}
		names[name] = true
		all = append(all, Workspace{Name: name, Key: key})
	}
	return all, nil
}
