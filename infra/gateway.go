// Package infra makes what of the deployment follows from the code, and holds
// the templates to it: see gateway.json, which is generated, and the tests.
package infra

import (
	"maps"
	"net/http"
	"regexp"
	"strings"

	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/console"
)

// object is a JSON object.
type object = map[string]any

// gatewayTimeout is the longest, in milliseconds, that API Gateway waits for a
// function without a quota being raised.
const gatewayTimeout = 29_000

// Gateway returns the description of the API that API Gateway takes: the paths
// and methods of the Account API and those of the console, each with the function
// that serves it. What
// requests and answers hold is not part of it; see the product's own
// description. It is a snippet of a CloudFormation template.
func Gateway() ([]byte, error) {
	paths := object{}
	for _, r := range api.Routes(catalog.All()) {
		path := api.BasePath + r.Path
		item, _ := paths[path].(object)
		if item == nil {
			item = object{"x-amazon-apigateway-any-method": operation(r)} // answers 405, and HEAD
			paths[path] = item
		}
		item[strings.ToLower(r.Method)] = operation(r)
	}
	// Which page of the console is asked for is its own business.
	for _, path := range []string{"", "/{page+}"} {
		paths[console.BasePath+path] = object{"x-amazon-apigateway-any-method": operation(api.Route{Path: path, Function: consoleFunction})}
	}
	return snippet("${AWS::StackName}", "2", paths)
}

// responses returns what the gateway answers by itself, in the shape of every
// other answer (contract P3), by the types that API Gateway has for it.
func responses() object {
	answer := func(status int, message, more string, headers object) object {
		r := object{"responseTemplates": object{"application/json": `{"status_is_ok":false,"message":` + message + more + `}`}}
		if status != 0 {
			r["statusCode"] = status
		}
		parameters := object{"gatewayresponse.header.Content-Type": "'application/json'", "gatewayresponse.header.Cache-Control": "'no-store'"}
		maps.Copy(parameters, headers)
		r["responseParameters"] = parameters
		return r
	}
	again := object{"gatewayresponse.header.Retry-After": "'1'"}
	return object{
		"DEFAULT_4XX":                  answer(0, `$context.error.messageString`, "", nil),
		"DEFAULT_5XX":                  answer(0, `"Internal error"`, "", nil),
		"MISSING_AUTHENTICATION_TOKEN": answer(http.StatusNotFound, `"No such endpoint"`, `,"code":"not_found"`, nil),
		"REQUEST_TOO_LARGE": answer(http.StatusRequestEntityTooLarge, `"The request body is too large for the gateway: at most 4.5 MB as it is sent. `+
			`Compress it with Content-Encoding: gzip (at most 10 MB, decompressed), or send smaller batches"`, "", nil),
		"THROTTLED":           answer(http.StatusTooManyRequests, `"Too many requests; this one was not processed"`, "", again),
		"QUOTA_EXCEEDED":      answer(http.StatusTooManyRequests, `"Too many requests; this one was not processed"`, "", again),
		"INTEGRATION_FAILURE": answer(http.StatusServiceUnavailable, `"The service cannot be reached; sending the request again is safe"`, "", again),
		"INTEGRATION_TIMEOUT": answer(http.StatusGatewayTimeout, `"The request took too long and was stopped; records applied by then stay. Sending it again is safe"`, "", nil),
	}
}

var pathParameter = regexp.MustCompile(`\{(\w+)\+?\}`)

// operation describes one method of one path.
func operation(r api.Route) object {
	parameters := []object{}
	for _, m := range pathParameter.FindAllStringSubmatch(r.Path, -1) {
		parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	return object{
		"parameters": parameters,
		"responses":  object{"200": object{"description": "See the product's own description"}},
		"x-amazon-apigateway-integration": object{
			"type": "aws_proxy", "httpMethod": "POST", "timeoutInMillis": gatewayTimeout,
			"responseTransferMode": choice("STREAM", "BUFFERED"),
			"uri": choice(
				invocation(r.Function, "2021-11-15", "response-streaming-invocations"),
				invocation(r.Function, "2015-03-31", "invocations")),
		},
	}
}

// choice returns what holds where answers are streamed, and where not.
func choice(streaming, buffering any) object {
	return object{"Fn::If": []any{"Streaming", streaming, buffering}}
}

// invocation returns the URI by which API Gateway calls a function.
func invocation(function, version, how string) object {
	return object{"Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/" + version +
		"/functions/${" + LogicalID(function) + ".Arn}:live/" + how}
}

// LogicalID returns the name of a function's resource in the template.
func LogicalID(function string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(function, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String() + "Function"
}
