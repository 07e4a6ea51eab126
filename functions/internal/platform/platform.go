// Package platform is what every function shares of running on AWS Lambda: its
// settings, the table, the logs and measurements, and the ways in which API
// Gateway, the stream of the table, the schedule and queues call it. It decides nothing
// about records.
package platform

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/config"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/usage"
)

// memoryShare is how much of a function's memory the Go runtime tries to get
// by with, in percent: it collects garbage more often rather than exceed it.
const memoryShare = 80

// environment is what a function works with.
type environment struct {
	settings config.Config
	log      *slog.Logger
	measured *measurements
	table    table.Table
	engine   *resource.Engine
	usage    *usage.Store
	keys     *access.Store
	calls    *calls.Log
	aws      aws.Config
}

// ServeAPI serves the endpoints of one function behind API Gateway, until
// Lambda ends the process. name is that of api.Route.Function.
func ServeAPI(name string) {
	env := start(name)
	handler, err := api.New(env.face(name), catalog.All())
	if err != nil {
		fail(env.log, err)
	}
	lambda.Start(gateway(handler, env.settings.Buffer))
}

// ServeEvents takes usage events behind API Gateway.
func ServeEvents() {
	env := start(api.EventsFunction)
	handler, err := api.NewEvents(env.face(""))
	if err != nil {
		fail(env.log, err)
	}
	lambda.Start(gateway(handler, env.settings.Buffer))
}

// face returns what the API of a function works with.
func (e *environment) face(function string) api.Config {
	return api.Config{
		Engine: e.engine, Access: e.keys, Usage: e.usage, Timeout: e.settings.Timeout, LockWait: e.settings.LockWait,
		Log: e.log, Function: function, Served: (&recorder{calls: e.calls, log: e.log, measured: e.measured}).served,
	}
}

// ServePages serves what make makes of the environment behind API Gateway. It is
// made by the function itself, so that no other one has to carry it.
func ServePages(name string, make func(Environment) (http.Handler, error)) {
	env := start(name)
	pages, err := make(env.shared())
	if err != nil {
		fail(env.log, err)
	}
	lambda.Start(gateway(env.measured.pages(pages), env.settings.Buffer))
}

// Environment is what a function of its own making works with.
type Environment struct {
	Settings config.Config
	Log      *slog.Logger
	Table    table.Table
	Keys     *access.Store
	Engine   *resource.Engine
	Usage    *usage.Store
	Calls    *calls.Log
	// AWS is the configuration of clients of AWS.
	AWS aws.Config
}

func (e *environment) shared() Environment {
	return Environment{Settings: e.settings, Log: e.log, Table: e.table, Keys: e.keys, Engine: e.engine, Usage: e.usage, Calls: e.calls, AWS: e.aws}
}

// ServeStream keeps derived values up to date by those changes of the stream of the
// table that reach the function with that name.
func ServeStream(name string) {
	env := start(name)
	lambda.Start((&stream{rollup: rollup.New(env.engine, env.usage), log: env.log, measured: env.measured}).handle)
}

// ServeSchedule takes up what changes by time alone whenever it is called.
func ServeSchedule() {
	env := start("clock")
	lambda.Start((&clock{keys: env.keys, engine: env.engine, rollup: rollup.New(env.engine, env.usage), calls: env.calls, log: env.log, measured: env.measured}).handle)
}

// start sets up the process, once: what it makes lasts for all calls.
func start(name string) *environment {
	limitMemory(os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"))
	log := newLog(os.Stdout, name)
	slog.SetDefault(log)
	settings, err := config.FromEnv()
	if err == nil && settings.Table == "" {
		err = errors.New("TABLE_NAME is not set")
	}
	if err != nil {
		fail(log, err)
	}
	sdk := sdkConfig(os.Getenv)
	on := dynamo.Open(dynamo.NewClient(sdk), settings.Table, dynamo.Options{})
	engine := resource.New(resource.Config{Table: on, Root: catalog.Root, Shards: dynamo.Shards})
	return &environment{
		settings: settings, log: log, table: on, measured: &measurements{log: log, deployment: settings.Deployment}, keys: access.New(on, nil),
		engine: engine,
		usage:  usage.New(usage.Config{Table: on, Engine: engine, Kept: settings.EventsKept}),
		calls:  calls.New(on, api.Logged(catalog.All()), calls.Options{Expire: true}),
		aws:    sdk,
	}
}

// sdkConfig returns the configuration of AWS clients in a function, whose
// environment has all there is to know: looking for it anywhere else, as the
// SDK's own does, takes a cold start half as long again.
func sdkConfig(getenv func(string) string) aws.Config {
	c := aws.Config{
		Region: getenv("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN")),
	}
	if endpoint := getenv("AWS_ENDPOINT_URL"); endpoint != "" {
		c.BaseEndpoint = aws.String(endpoint)
	}
	return c
}

// limitMemory keeps the Go runtime below megabytes, the function's memory.
func limitMemory(megabytes string) {
	if n, err := strconv.ParseInt(megabytes, 10, 64); err == nil && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(n << 20 * memoryShare / 100)
	}
}

// fail ends a process that cannot start, and says why.
func fail(log *slog.Logger, err error) {
	log.Error("the function cannot start", "error", err)
	os.Exit(1)
}
