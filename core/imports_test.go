package core_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list` tells of a package of the module.
type pkg struct {
	ImportPath string
	Imports    []string // of its own files, tests left out
	Deps       []string // of those as well, and so on
}

const module = "tenure/"

// in has the packages called names, those of the module without its name.
func in(names ...string) func(string) bool {
	return func(path string) bool { return slices.Contains(names, strings.TrimPrefix(path, module)) }
}

// under is like in, and has the packages below them too.
func under(names ...string) func(string) bool {
	return func(path string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			rest, ok := strings.CutPrefix(strings.TrimPrefix(path, module), name)
			return ok && (rest == "" || rest[0] == '/')
		})
	}
}

func not(f func(string) bool) func(string) bool {
	return func(path string) bool { return !f(path) }
}

// oursBut has every package of the module but those.
func oursBut(names ...string) func(string) bool {
	return func(path string) bool { return strings.HasPrefix(path, module) && !in(names...)(path) }
}

// but has what f has, without the packages called names.
func but(f func(string) bool, names ...string) func(string) bool {
	return func(path string) bool { return f(path) && !in(names...)(path) }
}

var (
	familyPackages = []string{"core/accounts", "core/people", "core/metrics", "core/subscriptions", "core/statements",
		"core/tickets", "core/conversations"}
	families = in(familyPackages...)
	domain   = in(append([]string{"core", "core/schema", "core/nps", "core/revenue", "core/rollup", "core/overview", "core/search", "core/catalog",
		"core/resource", "core/access", "core/identity", "core/table", "core/calls", "core/secrets", "core/sending", "core/csvfile", "core/uploads",
		"core/files", "core/mapping", "core/matching", "core/usage", "core/health"}, familyPackages...)...)
	forTests = in("core/table/tabletest", "core/resource/resourcetest", "core/table/dynamo/dynamolocal", "localstack/e2e", "localstack/browser",
		"core/secrets/secretstest", "core/sending/dnstest", "core/files/filestest", "core/connector/connectortest", "core/connector/oauthtest", "core/connectors/standins", "localstack/ministack")
	adapters = under("core/table/dynamo", "core/table/embedded", "core/files/directory", "core/files/s3")
	// keys are where the keys of sealed values come from.
	keys = under("core/secrets/keyfile", "core/secrets/kms")
	// functions are the programs that run on AWS.
	functions = func(path string) bool {
		return under("functions")(path) && !under("functions/internal")(path)
	}
)

// rules are the directions of dependency that doc.go states.
var rules = []struct {
	who    func(string) bool
	never  func(string) bool
	deeply bool // through other packages too
	why    string
}{
	{domain, under("github.com/aws"), true,
		"the domain runs on any store and any platform"},
	// With the list of public suffixes, which sending asks, comes net/http's cookie jar.
	{but(domain, "core/sending"), under("net/http"), true,
		"the domain answers CSV uploads and connectors as it answers the API"},
	{domain, under("github.com/cockroachdb", "database"), true,
		"the domain stores through the port and knows no engine"},
	{domain, adapters, true,
		"the domain stores through the port and knows no adapter"},
	{families, families, false,
		"families are declared independently of each other; what they share is schema's or resource's"},
	{families, oursBut("core", "core/schema", "core/table", "core/resource", "core/nps", "core/revenue"), false,
		"a family is a declaration and its merge rules, nothing else"},
	{in("core/nps"), oursBut(), false,
		"computing a score is arithmetic and needs nobody"},
	{in("core/revenue"), oursBut("core"), false,
		"computing revenue is arithmetic and needs no storage and no declaration"},
	{in("core/health"), oursBut("core", "core/table"), false,
		"a score is arithmetic; what it is computed from is the rollup's affair"},
	{in("core/table"), oursBut(), false,
		"the port stands at the bottom: adapters must not drag in the domain"},
	{in("core/schema"), oursBut("core"), false,
		"a declaration is turned into behaviour without any storage"},
	{in("core/resource"), oursBut("core", "core/schema", "core/table"), false,
		"the one engine knows no family by name"},
	{in("core/search"), oursBut("core", "core/schema", "core/resource"), false,
		"a search is about any family's declaration"},
	{in("core/rollup"), oursBut("core/resource", "core/schema", "core/table", "core/revenue", "core/usage", "core/health", "core", "core/accounts", "core/subscriptions", "core/tickets"), false,
		"the rollup knows what is derived from what, and nothing of requests"},
	{in("core/overview"), oursBut("core/resource", "core/table", "core/revenue", "core/nps", "core/accounts", "core/subscriptions"), false,
		"what is counted is what the domain returns"},
	{in("core/access"), oursBut("core", "core/table"), false,
		"keys and locks have nothing to do with records"},
	{in("core/identity"), oursBut("core", "core/table"), false,
		"people and what they may do have nothing to do with records"},
	{in("core/csvfile"), oursBut("core", "core/schema", "core/resource"), false,
		"a file is described by any family's declaration, and is neither stored nor sent here"},
	{in("core/uploads"), oursBut("core", "core/table", "core/files", "core/csvfile", "core/resource", "core/access", "core/calls"), false,
		"an upload is about any family's files, wherever they lie and whoever sends them"},
	{in("core/calls"), oursBut("core", "core/table"), false,
		"calls are logged the same whatever they are about, and whoever made them"},
	{in("core/mapping"), oursBut("core", "core/schema"), false,
		"an expression knows what it is given and nothing else"},
	{in("core/matching"), oursBut(), false,
		"comparing names is arithmetic and needs nobody"},
	{in("core/connector"), oursBut("core", "core/schema", "core/mapping"), false,
		"how a system is read has nothing to do with what its records are for"},
	{in("core/connectors"), oursBut("core", "core/connector", "core/mapping"), false,
		"a declaration knows the system it declares and nothing of who reads it"},
	{in("core/sources"), oursBut("core", "core/schema", "core/table", "core/resource", "core/access", "core/secrets", "core/mapping", "core/matching", "core/connector"), false,
		"what becomes of records is the same whatever system they come from"},
	{in("core/secrets"), oursBut(), false,
		"sealing a value knows nothing of what it is for"},
	{keys, oursBut("core/secrets"), false,
		"a source of keys knows the port and nothing of what is sealed"},
	{not(under("functions", "localstack", "infra")), keys, false,
		"where keys come from is decided by the programs alone, and roles name what KMS is told"},
	{not(in("core/connector/oauthtest")), under("github.com/go-oauth2"), true,
		"Tenure is a client of OAuth servers, and has one for tests alone"},
	{not(in("core/secrets", "core/secrets/keyfile")), under("github.com/tink-crypto"), false,
		"what seals is nobody else's affair"},
	{in("core/sending"), oursBut("core", "core/table", "core/secrets"), false,
		"what mail is sent with has nothing to do with records"},
	{in("core/sending/ses"), oursBut("core", "core/sending"), false,
		"the adapter knows the port and nothing of what is stored"},
	{not(under("functions", "localstack", "infra")), in("core/sending/ses"), false,
		"which service sends is decided by the programs alone, and roles name the tag of its identities"},
	{in("core/config"), oursBut(), false,
		"settings are read before anything else is there"},
	{in("core/table/dynamo", "core/table/embedded"), oursBut("core/table"), false,
		"an adapter knows the port and nothing of what is stored"},
	{in("core/files/directory", "core/files/s3"), oursBut("core/files"), false,
		"an adapter knows the port and nothing of what is stored"},
	{in("core/files"), oursBut(), false,
		"the port stands at the bottom: adapters must not drag in the domain"},
	{not(under("functions", "localstack", "infra/operate", "core/table/dynamo", "core/table/embedded", "core/files/directory", "core/files/s3")), adapters, false,
		"which store stands behind the port is decided by the programs alone"},
	{not(under("functions", "localstack", "infra", "core/api", "core/console", "core/connector", "core/connectors", "core/sources", "core/table/dynamo")), under("net/http"), false,
		"HTTP is spoken in core/api and core/console, and with other systems in core/connector, whose callers choose the transport; the DynamoDB adapter may tune its client, and the gateway's description names statuses"},
	{in("core/console"), in("core/api"), false,
		"pages show what the domain knows, and are no clients of the API"},
	{under("core"), under("functions", "localstack", "infra"), false,
		"core is what the programs are built of, not the other way round"},
	{func(path string) bool { return functions(path) && path != module+"functions/console" }, oursBut("functions/internal/platform", "functions/internal/uploading", "functions/internal/syncing"), false,
		"a function decides nothing: what functions share of their platform is platform's, all else is core's"},
	{under("functions/internal"), in("core/console"), true,
		"the pages' templates would slow down the start of every function"},
	{func(path string) bool { return functions(path) && !in("functions/sync", "functions/console")(path) }, under("core/connectors", "core/connector"), true,
		"other systems' declarations would slow down the start of every function"},
	{in("functions/internal/platform"), under("localstack", "infra", "core/table/embedded"), false,
		"a function runs on AWS"},
	{not(forTests), under("testing", "pgregory.net/rapid"), false,
		"what is for tests stays in tests, and in the packages that only tests import"},
	{not(forTests), forTests, false,
		"what is for tests is imported by tests"},
}

func TestDependenciesPointTheRightWay(t *testing.T) {
	all := packages(t)
	for _, rule := range rules {
		applied := false
		for _, p := range all {
			if !rule.who(p.ImportPath) {
				continue
			}
			applied = true
			imports := p.Imports
			if rule.deeply {
				imports = p.Deps
			}
			for _, path := range imports {
				if rule.never(path) && path != p.ImportPath {
					t.Errorf("%s imports %s: %s", p.ImportPath, path, rule.why)
				}
			}
		}
		if !applied {
			t.Errorf("a rule applies to no package any more: %s", rule.why)
		}
	}
}

func TestEveryPackageHasItsPlaceInTheLayout(t *testing.T) {
	layout, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages(t) {
		path, ok := strings.CutPrefix(p.ImportPath, module+"core/")
		if !ok {
			continue
		}
		// What lies below an adapter is its own affair.
		if parts := strings.SplitN(path, "/", 3); len(parts) == 3 {
			path = parts[0] + "/" + parts[1]
		}
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(path) + `\b`).Match(layout) {
			t.Errorf("doc.go does not mention %s", path)
		}
	}
}

// packages returns the packages of the module as the go command sees them.
func packages(t *testing.T) []pkg {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"...")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}
